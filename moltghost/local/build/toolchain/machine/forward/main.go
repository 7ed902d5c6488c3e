// Forward passes TCP connections from a network namespace on to where the program runs.
//
//	machine-forward -namespace /proc/1234/ns/net -forward 127.0.0.1:1=127.0.0.1:2 -health 127.0.0.1:3
//
// The sockets that listen are made inside the namespace; the connections to the other end are not.
package main

import (
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	dialTimeout    = 5 * time.Second
	headersTimeout = 5 * time.Second
)

func main() {
	namespace := flag.String("namespace", "", "file of the network namespace to listen in")
	forwards := flag.String("forward", "", "addresses there and here: there=here, with commas between")
	health := flag.String("health", "", "address and port here that answer 200 to every request")
	flag.Parse()
	for _, pair := range strings.Split(*forwards, ",") {
		there, here, _ := strings.Cut(pair, "=")
		listener, err := listenIn(*namespace, there)
		if err != nil {
			log.Fatalf("listening on %s in %s: %v", there, *namespace, err)
		}
		log.Printf("forwarding %s in %s to %s", there, *namespace, here)
		go accept(listener, here)
	}
	answer(*health)
}

func accept(listener net.Listener, to string) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatalf("accepting a connection: %v", err)
		}
		go forward(connection.(*net.TCPConn), to)
	}
}

// listenIn makes the socket on a thread that is in the namespace. The thread is not unlocked, so
// that the runtime ends it with its goroutine and nothing else ever runs on it.
func listenIn(namespace, address string) (net.Listener, error) {
	type result struct {
		listener net.Listener
		err      error
	}
	results := make(chan result)
	go func() {
		runtime.LockOSThread()
		file, err := os.Open(namespace)
		if err == nil {
			defer file.Close()
			err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
		}
		if err != nil {
			results <- result{nil, err}
			return
		}
		listener, err := net.Listen("tcp4", address)
		results <- result{listener, err}
	}()
	made := <-results
	return made.listener, made.err
}

func forward(client *net.TCPConn, to string) {
	defer client.Close()
	connection, err := net.DialTimeout("tcp4", to, dialTimeout)
	if err != nil {
		log.Printf("%v", err)
		return
	}
	server := connection.(*net.TCPConn)
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() { pass(server, client) })
	both.Go(func() { pass(client, server) })
	both.Wait()
}

// pass copies until the sender has finished, and lets the receiver know. Errors end both ways.
func pass(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		from.Close()
		return
	}
	to.CloseWrite()
}

func answer(address string) {
	server := http.Server{
		Addr:              address,
		Handler:           http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		ReadHeaderTimeout: headersTimeout,
	}
	log.Fatal(server.ListenAndServe())
}
