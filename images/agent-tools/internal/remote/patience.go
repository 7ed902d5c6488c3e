package remote

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	firstPause = 200 * time.Millisecond
	// While nothing can be reached, this is how soon it is noticed that it can be again.
	longestPause = 3 * time.Second
	messagePause = 5 * time.Second
)

// Patience tries again what may pass, and says so. One is shared by everything that reads from
// the same place, so that an outage is reported once and not once a connection.
type Patience struct {
	// Budget is how long nothing at all may succeed.
	Budget time.Duration
	Say    func(message string)

	mu          sync.Mutex
	failedSince time.Time
	said        time.Time
}

// Do calls try until it succeeds, fails for good, or nothing has succeeded for the budget.
func (p *Patience) Do(ctx context.Context, name string, try func(context.Context) error) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		began := time.Now()
		err := try(ctx)
		if err == nil {
			p.succeeded(name)
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if Lasting(err) {
			return fmt.Errorf("%s: %w", name, err)
		}
		if away := p.failed(name, err, began); away > p.Budget {
			return fmt.Errorf("%s: %w for %s: %w", name, ErrAway, away.Round(time.Second), err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

func (p *Patience) succeeded(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.said.IsZero() {
		p.Say(fmt.Sprintf("%s is back after %s", name, time.Since(p.failedSince).Round(time.Second)))
	}
	p.failedSince, p.said = time.Time{}, time.Time{}
}

// failed notes the failure of a try and returns for how long nothing has succeeded.
func (p *Patience) failed(name string, err error, began time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.failedSince.IsZero() {
		p.failedSince = began
	}
	away := now.Sub(p.failedSince)
	// A single hiccup is not worth a line.
	if away > time.Second && now.Sub(p.said) > messagePause {
		p.said = now
		p.Say(fmt.Sprintf("%s can't be read for %s, trying for %s in all: %v",
			name, away.Round(time.Second), p.Budget, err))
	}
	return away
}
