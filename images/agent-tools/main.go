// Command agent-tools is what runs beside Ollama in a model server's pod and in the job that
// builds model stores: it copies weights, proves that a model is loaded, and builds stores.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"moltghost.dev/agent-tools/internal/loader"
	"moltghost.dev/agent-tools/internal/progress"
	"moltghost.dev/agent-tools/internal/weights"
)

const usage = `usage: agent-tools weights --from s3://BUCKET/PREFIX --to FOLDER
       agent-tools loader [--check proven|healthy]`

// Exit statuses: 1 tried and failed, 2 refused before anything was done.
const (
	exitFailed  = 1
	exitRefused = 2
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(exitRefused)
	}
	commands := map[string]func(context.Context, []string, *progress.Reporter) error{
		"weights": weights.Main,
		"loader":  loader.Main,
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
	default:
		report.Fail(err)
		os.Exit(exitFailed)
	}
}
