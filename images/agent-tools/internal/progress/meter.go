package progress

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	meterPeriod = time.Second
	// The rate is averaged over this many periods, so that the ETA doesn't jump.
	meterWindow = 10
)

// Amount is a line with how much of a stage is done.
type Amount struct {
	Stage string `json:"stage"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	// Rate in bytes a second, over the last ten seconds.
	Rate int64 `json:"rate"`
	// ETA in seconds; absent as long as nothing moves.
	ETA *int64 `json:"eta,omitempty"`
}

// Meter counts the bytes of one stage and reports them every second.
type Meter struct {
	stage  string
	total  int64
	done   atomic.Int64
	report *Reporter
	seen   []sample
}

type sample struct {
	at   time.Time
	done int64
}

// NewMeter returns a meter of a stage with total bytes.
func (r *Reporter) NewMeter(stage string, total int64) *Meter {
	return &Meter{stage: stage, total: total, report: r}
}

// Add counts bytes; a negative number takes back what has to be done again.
func (m *Meter) Add(bytes int64) { m.done.Add(bytes) }

// Reset takes back everything.
func (m *Meter) Reset() { m.done.Store(0) }

// Set reports what somebody else counted, at most once a second.
func (m *Meter) Set(done int64) {
	m.done.Store(done)
	now := time.Now()
	if done < m.total && len(m.seen) > 0 && now.Sub(m.seen[len(m.seen)-1].at) < meterPeriod {
		return
	}
	m.report.Emit(m.amount(now))
}

// Run reports until ctx ends or the returned function is called, which reports a last time.
func (m *Meter) Run(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	finished := make(chan struct{})
	// What was there before is no rate.
	m.seen = []sample{{time.Now(), m.done.Load()}}
	go func() {
		defer close(finished)
		ticker := time.NewTicker(meterPeriod)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				m.report.Emit(m.amount(now))
			}
		}
	}()
	return func() {
		cancel()
		<-finished
		m.report.Emit(m.amount(time.Now()))
	}
}

func (m *Meter) amount(now time.Time) Amount {
	done := m.done.Load()
	m.seen = append(m.seen, sample{now, done})
	if len(m.seen) > meterWindow+1 {
		m.seen = m.seen[1:]
	}
	amount := Amount{Stage: m.stage, Done: done, Total: m.total}
	oldest := m.seen[0] // the one just seen, where there was none
	if seconds := now.Sub(oldest.at).Seconds(); seconds > 0 {
		amount.Rate = max(0, int64(float64(done-oldest.done)/seconds))
	}
	if amount.Rate > 0 {
		eta := (m.total - done + amount.Rate - 1) / amount.Rate
		amount.ETA = &eta
	}
	return amount
}
