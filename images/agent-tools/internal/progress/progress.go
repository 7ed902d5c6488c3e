// Package progress writes what happens as one JSON object a line on standard output, and the
// reason of a failure where Kubernetes keeps it.
package progress

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
)

// TerminationLog is the file whose content the kubelet keeps as the container's last message.
const TerminationLog = "/dev/termination-log"

// Failure is an error that says what to do next.
type Failure struct {
	What string
	Next string
}

func (f *Failure) Error() string { return f.What }

// Line is one message of a stage.
type Line struct {
	Stage   string `json:"stage"`
	Message string `json:"message,omitempty"`
	Next    string `json:"next,omitempty"`
}

// Reporter writes lines; it may be used from several goroutines.
type Reporter struct {
	mu             sync.Mutex
	out            io.Writer
	terminationLog string
}

// NewReporter returns a reporter that writes to out.
func NewReporter(out io.Writer) *Reporter {
	return &Reporter{out: out, terminationLog: TerminationLog}
}

// Emit writes one line: any value that marshals to a JSON object with a "stage".
func (r *Reporter) Emit(line any) {
	data, err := json.Marshal(line)
	if err != nil {
		panic(err) // only types of ours get here
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.out.Write(append(data, '\n')) // nobody is left to tell
}

// Message writes a line of a stage in words.
func (r *Reporter) Message(stage, message string) {
	r.Emit(Line{Stage: stage, Message: message})
}

// Fail writes the last line and the termination message of a command that failed.
func (r *Reporter) Fail(err error) {
	line := Line{Stage: "failed", Message: err.Error()}
	var failure *Failure
	if errors.As(err, &failure) {
		line.Next = failure.Next
	}
	r.Emit(line)
	r.keep(line)
}

// keep leaves the reason to the kubelet, which makes the file before the container starts;
// outside a container there is none.
func (r *Reporter) keep(line Line) {
	file, err := os.OpenFile(r.terminationLog, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return
	}
	defer file.Close()
	text := line.Message
	if line.Next != "" {
		text += "\n" + line.Next
	}
	_, _ = io.WriteString(file, text)
}
