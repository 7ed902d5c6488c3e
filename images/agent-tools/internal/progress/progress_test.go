package progress

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAFailureIsTheLastLineAndTheTerminationMessage(t *testing.T) {
	log := filepath.Join(t.TempDir(), "termination-log")
	if err := os.WriteFile(log, []byte("older and longer than what comes now"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r := &Reporter{out: &out, terminationLog: log}
	r.Fail(fmt.Errorf("copying: %w", &Failure{What: "the disk is full", Next: "free some"}))
	if got := out.String(); got != `{"stage":"failed","message":"copying: the disk is full","next":"free some"}`+"\n" {
		t.Error(got)
	}
	kept, _ := os.ReadFile(log)
	if string(kept) != "copying: the disk is full\nfree some" {
		t.Errorf("%q", kept)
	}
}

func TestOutsideAContainerNoTerminationMessageIsMade(t *testing.T) {
	log := filepath.Join(t.TempDir(), "termination-log")
	r := &Reporter{out: &bytes.Buffer{}, terminationLog: log}
	r.Fail(errors.New("x"))
	if _, err := os.Stat(log); err == nil {
		t.Error("it was made")
	}
}

func TestAMeterTellsRateAndTimeLeft(t *testing.T) {
	start := time.Now()
	m := NewReporter(&bytes.Buffer{}).NewMeter("copy", 1000)
	m.seen = []sample{{start, 0}}
	if a := m.amount(start.Add(time.Second)); a.Rate != 0 || a.ETA != nil {
		t.Errorf("nothing moves, and it says %+v", a)
	}
	m.Add(300)
	if a := m.amount(start.Add(2 * time.Second)); a.Done != 300 || a.Rate != 150 || *a.ETA != 5 {
		t.Errorf("%+v, eta %d", a, *a.ETA)
	}
	m.Add(-300)
	if a := m.amount(start.Add(3 * time.Second)); a.Done != 0 || a.Rate != 0 {
		t.Errorf("%+v", a)
	}
}

func TestTheRateIsThatOfTheLastTenSeconds(t *testing.T) {
	start := time.Now()
	m := NewReporter(&bytes.Buffer{}).NewMeter("copy", 1_000_000)
	m.seen = []sample{{start, 0}}
	m.Add(500_000)
	var last Amount
	for second := 1; second <= 30; second++ {
		m.Add(100)
		last = m.amount(start.Add(time.Duration(second) * time.Second))
	}
	if last.Rate != 100 {
		t.Errorf("%+v", last)
	}
}

func TestAMeterReportsALastTimeWhenItStops(t *testing.T) {
	var out bytes.Buffer
	m := NewReporter(&out).NewMeter("copy", 7)
	stop := m.Run(t.Context())
	m.Add(7)
	stop()
	var line Amount
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Done != 7 || line.Total != 7 {
		t.Errorf("%s: %v", out.String(), err)
	}
}
