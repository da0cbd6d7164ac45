//go:build crashpoints

package crashpoint

import (
	"fmt"
	"os"
	"sync"
	"syscall"
)

var (
	mu   sync.Mutex
	hits = map[string]int{} // guarded by mu
)

// Here marks a persist point. With TRIBUTARY_CRASH_LOG=FILE it appends "name#count" to FILE; with
// TRIBUTARY_CRASH_AT="name#count" it kills the process there.
func Here(name string) {
	mu.Lock()
	defer mu.Unlock()
	hits[name]++
	at := fmt.Sprintf("%s#%d", name, hits[name])
	if file := os.Getenv("TRIBUTARY_CRASH_LOG"); file != "" {
		if f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
			fmt.Fprintln(f, at)
			f.Close()
		}
	}
	if os.Getenv("TRIBUTARY_CRASH_AT") == at {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}
