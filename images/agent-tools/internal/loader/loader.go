// Package loader loads the model into Ollama as OpenClaw will ask for it, proves that it lies
// there as planned, and keeps watching.
package loader

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"time"

	"moltghost.dev/agent-tools/internal/ollama"
	"moltghost.dev/agent-tools/internal/progress"
	"moltghost.dev/agent-tools/internal/store"
)

const (
	stageLoad  = "load"
	stageReady = "ready"

	watchPeriod = 2 * time.Second
	// /api/ps waits for locks that a load holds for seconds.
	lookTimeout = 10 * time.Second
	// So many failures in a row are no hiccup.
	failuresInARow = 3
	// In periods of the watch: a minute.
	longestPause  = 30
	messagePeriod = 5 * time.Second
	answerTimeout = 2 * time.Minute
)

// Main is `agent-tools loader`.
func Main(ctx context.Context, args []string, report *progress.Reporter) error {
	flags := flag.NewFlagSet("loader", flag.ContinueOnError)
	asked := flags.String("check", "", "ask the loader that runs here: proven or healthy")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *asked != "" {
		return check(ctx, listen(), *asked)
	}
	config, err := fromEnvironment()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return err
	}
	loader, err := New(config, report)
	if err != nil {
		return err
	}
	stop := loader.serve(listener)
	defer stop()
	return loader.Run(ctx)
}

// Loader of one model.
type Loader struct {
	config Config
	expect Expectation
	ollama *ollama.Client
	report *progress.Reporter
	state  state
	period time.Duration
	// How long the first token may take.
	longestAnswer time.Duration
	// Whether Ollama was asked for the trained context; nothing is proven before.
	asked bool
}

// New reads what to expect from the store on disk.
func New(config Config, report *progress.Reporter) (*Loader, error) {
	index, err := store.Load(config.Store)
	if err != nil {
		return nil, &progress.Failure{
			What: fmt.Sprintf("there is no store in %s: %v", config.Store, err),
			Next: "see the log of the container `weights`, which copies it",
		}
	}
	expect := Expectation{
		Digest: index.ManifestHex(), Context: config.Context, GPUs: config.GPUs,
	}
	for _, file := range index.Files {
		expect.FileBytes = append(expect.FileBytes, file.Size)
	}
	return &Loader{
		config: config, expect: expect, report: report, period: watchPeriod,
		longestAnswer: answerTimeout,
		ollama:        &ollama.Client{URL: config.Ollama},
	}, nil
}

// Run proves the model and watches it until ctx ends.
//
// Before the first proof a failure ends the loader, so that its reason is seen at once. After it,
// the pod goes out of service and the loader keeps trying.
func (l *Loader) Run(ctx context.Context) error {
	if err := l.first(ctx); err != nil {
		return err
	}
	l.watch(ctx)
	return nil
}

// first brings about the first proof.
func (l *Loader) first(ctx context.Context) error {
	l.state.waiting("the model is being loaded")
	said := time.Now()
	for failures := 0; ; {
		err := l.loadAndAnswer(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			_, reason := l.state.isProven()
			return fmt.Errorf("stopped before the model was proven: %s", reason)
		}
		l.state.waiting(err.Error())
		if !ollama.Unreachable(err) {
			failures++
			l.report.Message(stageLoad, fmt.Sprintf("try %d of %d: %v", failures, failuresInARow, err))
		} else if time.Since(said) > messagePeriod {
			said = time.Now()
			l.report.Message(stageLoad, fmt.Sprintf("waiting for Ollama: %v", err))
		}
		if failures == failuresInARow || errors.Is(err, errDigest) || errors.Is(err, errTrained) {
			return l.failure(err)
		}
		l.unloadMisplaced(ctx, err)
		sleep(ctx, l.period)
	}
}

// loadAndAnswer proves a model that nobody uses yet: it also has to write a token.
func (l *Loader) loadAndAnswer(ctx context.Context) error {
	took, err := l.load(ctx)
	if err != nil {
		return err
	}
	// A model that doesn't fit answers too slowly to tell why.
	if _, err := l.look(ctx); err != nil {
		return err
	}
	answered, cancel := context.WithTimeout(ctx, l.longestAnswer)
	defer cancel()
	if err := l.ollama.Answer(answered, l.config.Model, l.config.Context); err != nil {
		return err
	}
	return l.prove(ctx, took)
}

// load warms the model and returns how long that took.
func (l *Loader) load(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	stop := l.sayEverySoOften(start)
	err := l.ollama.Load(ctx, l.config.Model, l.config.Context)
	stop()
	if err != nil || l.asked {
		return time.Since(start), err
	}
	took := time.Since(start)
	l.expect.Trained, err = l.ollama.TrainedContext(ctx, l.config.Model)
	l.asked = err == nil
	return took, err
}

// prove looks at what is loaded and tells everybody.
func (l *Loader) prove(ctx context.Context, took time.Duration) error {
	model, err := l.look(ctx)
	if err != nil {
		return err
	}
	l.state.loaded(took)
	l.state.foundProven(model)
	l.report.Emit(ready{
		Stage: stageReady, Seconds: took.Seconds(), Context: model.ContextLength, Size: model.Size,
		SizeVRAM: model.SizeVRAM, Predicted: l.config.PredictedBytes, Digest: model.Digest,
	})
	return nil
}

// ready is the line of a proven model.
type ready struct {
	Stage     string  `json:"stage"`
	Seconds   float64 `json:"seconds"`
	Context   int     `json:"context"`
	Size      int64   `json:"size"`
	SizeVRAM  int64   `json:"size_vram"`
	Predicted int64   `json:"predicted"`
	Digest    string  `json:"digest"`
}

// look asks Ollama what is loaded and compares.
func (l *Loader) look(ctx context.Context) (ollama.Running, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	running, err := l.ollama.Running(ctx)
	if err != nil {
		return ollama.Running{}, err
	}
	return l.expect.check(running)
}

// watch looks until ctx ends, and makes good what it can.
func (l *Loader) watch(ctx context.Context) {
	pause := l.period
	for failures := 0; ctx.Err() == nil; {
		sleep(ctx, pause)
		pause = l.period
		err := l.lookOrReload(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			failures++
			if !ollama.Unreachable(err) {
				// A load that keeps failing is tried less and less often.
				pause *= time.Duration(min(failures, longestPause))
			}
			out := failures >= failuresInARow || errors.Is(err, errDigest) || errors.Is(err, errResidence)
			l.state.foundFailing(err.Error(), out)
			l.report.Message(stageLoad, fmt.Sprintf("failure %d in a row: %v", failures, err))
			l.unloadMisplaced(ctx, err)
		case failures > 0:
			failures = 0
			l.report.Message(stageReady, "the model is as planned again")
		}
	}
}

// lookOrReload looks at what is loaded, and loads again what was merely lost.
//
// A reload is proven by looking alone: a token would have to wait for the streams of users.
func (l *Loader) lookOrReload(ctx context.Context) error {
	model, err := l.look(ctx)
	if errors.Is(err, errNotLoaded) || errors.Is(err, errContext) {
		l.report.Message(stageLoad, fmt.Sprintf("loading again: %v", err))
		l.state.foundReloading(err.Error())
		took, err := l.load(ctx)
		if err != nil {
			return err
		}
		return l.prove(ctx, took)
	}
	if err == nil {
		l.state.foundProven(model)
	}
	return err
}

// unloadMisplaced makes room for another try: a model that is loaded stays where it is.
func (l *Loader) unloadMisplaced(ctx context.Context, err error) {
	if !errors.Is(err, errResidence) {
		return
	}
	if err := l.ollama.Unload(ctx, l.config.Model); err != nil {
		l.report.Message(stageLoad, fmt.Sprintf("unloading it: %v", err))
	}
}

// sayEverySoOften writes how long a load has taken until stop is called.
func (l *Loader) sayEverySoOften(start time.Time) (stop func()) {
	ticker := time.NewTicker(messagePeriod)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				l.report.Emit(loading{Stage: stageLoad, Seconds: time.Since(start).Seconds()})
			}
		}
	}()
	return func() { ticker.Stop(); close(done) }
}

type loading struct {
	Stage   string  `json:"stage"`
	Seconds float64 `json:"seconds"`
}

func (l *Loader) failure(err error) error {
	failure := &progress.Failure{
		What: fmt.Sprintf("%s isn't as planned: %v", l.config.Model, err),
		Next: "see the log of the container `ollama` for what it found",
	}
	switch {
	case errors.Is(err, errResidence):
		failure.Next = "the model takes more memory than its plan says: a shorter context, a smaller " +
			"quantization or more GPU memory; see the log of `ollama`"
	case errors.Is(err, errDigest):
		failure.Next = "the store and Ollama disagree: delete the pod, so that its store is copied anew"
	case errors.Is(err, errTrained):
		failure.Next = "give the agent a shorter context, or build the store from another file"
	}
	return failure
}

func sleep(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}
