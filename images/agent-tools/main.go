// Command agent-tools is what runs beside Ollama in a model server's pod and in the job that
// builds model stores: it copies weights, proves that a model is loaded, and builds stores.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"moltghost.dev/agent-tools/internal/build"
	"moltghost.dev/agent-tools/internal/loader"
	"moltghost.dev/agent-tools/internal/progress"
	"moltghost.dev/agent-tools/internal/weights"
)

const usage = `usage: agent-tools weights --from s3://BUCKET/PREFIX --to FOLDER
       agent-tools loader [--check proven|healthy]
       agent-tools build --source URL --sha256 HEX --to s3://BUCKET/PREFIX --models FOLDER ...`

// Exit statuses: 1 tried and failed, 2 refused before anything was done.
const (
	exitFailed  = 1
	exitRefused = 2
)

// The smallest container that copies has 512 MiB; what is below this is buffers, not garbage.
const memoryBytes = 320 << 20

func main() {
	debug.SetMemoryLimit(memoryBytes)
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(exitRefused)
	}
	commands := map[string]func(context.Context, []string, *progress.Reporter) error{
		"weights": weights.Main,
		"loader":  loader.Main,
		"build":   build.Main,
	}
	command, known := commands[os.Args[1]]
	if !known {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(exitRefused)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	report := progress.NewReporter(os.Stdout)
	err := command(ctx, os.Args[2:], report)
	var no *loader.No
	switch {
	case err == nil:
	case errors.As(err, &no):
		// A probe's answer is read by the kubelet; the container's own message stays.
		fmt.Println(no)
		os.Exit(exitFailed)
	case ctx.Err() != nil:
		report.Fail(fmt.Errorf("stopped by a signal: %w", err))
		os.Exit(exitFailed)
	default:
		report.Fail(err)
		os.Exit(exitFailed)
	}
}
