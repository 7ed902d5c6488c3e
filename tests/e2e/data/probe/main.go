// Probe is the program in the containers of the tests of the machine's own node.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const timeout = 3 * time.Second

var commands = map[string]func(arguments []string) error{
	"append": func(arguments []string) error { return add(arguments[0], arguments[1]) },
	"dial":   func(arguments []string) error { return dial(arguments[0]) },
	"get":    func(arguments []string) error { return get(arguments[0]) },
	"id":     func([]string) error { return id() },
	"read":   func(arguments []string) error { return read(arguments[0]) },
	"serve":  func(arguments []string) error { return serve(arguments[0]) },
	"stay":   func(arguments []string) error { return stay(arguments[0], arguments[1]) },
}

func main() {
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func add(path, line string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = fmt.Fprintln(file, line)
	return err
}

func dial(address string) error {
	connection, err := net.DialTimeout("tcp", address, timeout)
	if err != nil {
		return err
	}
	return connection.Close()
}

func get(url string) error {
	response, err := (&http.Client{Timeout: timeout}).Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

func id() error {
	groups, err := os.Getgroups()
	fmt.Println(os.Getuid(), os.Getgid(), groups)
	return err
}

func read(path string) error {
	content, err := os.ReadFile(path)
	os.Stdout.Write(content)
	return err
}

// serve answers every request with the text, until it is told to end.
func serve(text string) error {
	go http.ListenAndServe(":8080", http.HandlerFunc(
		func(response http.ResponseWriter, _ *http.Request) { fmt.Fprint(response, text) },
	))
	fmt.Println("serving", text)
	wait()
	return nil
}

// stay is a sidecar that takes a second to be ready, which a file says.
func stay(path, line string) error {
	time.Sleep(time.Second)
	if err := add(path, line); err != nil {
		return err
	}
	wait()
	return nil
}

func wait() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	<-signals
}
