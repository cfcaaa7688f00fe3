// Command served is the application of a compose project that is updated under load, its migration, and the load.
//
// What it does hangs on its release, the text of the file /release:
//
//	dies after 3s   the server ends with 3 then
//	sick            the server never gets healthy
//	stuck           the migration fails
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	text, _ := os.ReadFile("/release")
	release := strings.TrimSpace(string(text))
	switch os.Args[1] {
	case "serve":
		serve(release)
	case "check":
		if answer, err := http.Get("http://127.0.0.1:80/health"); err != nil || answer.StatusCode != http.StatusOK {
			os.Exit(1)
		}
	case "migrate":
		if release == "stuck" {
			fmt.Println("the table is locked")
			os.Exit(7)
		}
	case "load":
		load(os.Args[2], os.Args[3])
	}
}

// serve answers with the release. After SIGTERM it says that it is not healthy any more, and serves on until the proxy has seen it.
func serve(release string) {
	var draining atomic.Bool
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if draining.Load() || release == "sick" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, release)
	})
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	if lives, dies := strings.CutPrefix(release, "dies after "); dies {
		after, err := time.ParseDuration(lives)
		if err != nil {
			panic(err)
		}
		time.AfterFunc(after, func() {
			fmt.Println("this release is broken")
			os.Exit(3)
		})
	}
	server := &http.Server{Addr: ":80"}
	go func() { _ = server.ListenAndServe() }()
	<-stop.Done()
	draining.Store(true)
	time.Sleep(2 * time.Second)
	_ = server.Shutdown(context.Background())
}

// load sends 200 requests a second, every other one in a connection of its own, until the file is there. Then it tells how many it sent,
// which failed, and what answered.
func load(url, until string) {
	kept := &http.Client{Timeout: 10 * time.Second}
	fresh := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var mu sync.Mutex
	answers := map[string]int{}
	first, last := map[string]time.Time{}, map[string]time.Time{}
	var running sync.WaitGroup
	for n := 0; ; n++ {
		if _, err := os.Stat(until); err == nil {
			break
		}
		running.Go(func() {
			var answer *http.Response
			var err error
			if n%2 == 0 {
				answer, err = kept.Get(url)
			} else {
				answer, err = fresh.Post(url, "text/plain", strings.NewReader("x"))
			}
			var got string
			if err != nil {
				got = "failed: " + err.Error()
			} else {
				body, err := io.ReadAll(answer.Body)
				_ = answer.Body.Close()
				if got = "release " + string(body); err != nil || answer.StatusCode != http.StatusOK {
					got = fmt.Sprintf("failed: %d %s %v", answer.StatusCode, body, err)
				}
			}
			mu.Lock()
			if answers[got]++; answers[got] == 1 {
				first[got] = time.Now()
			}
			last[got] = time.Now()
			mu.Unlock()
		})
		time.Sleep(5 * time.Millisecond)
	}
	running.Wait()
	for answer, number := range answers {
		fmt.Printf("%d %s\n  from %s to %s\n", number, answer, first[answer].UTC().Format(time.TimeOnly), last[answer].UTC().Format(time.TimeOnly))
	}
}
