// blocking_library: 200 goroutines each make 20 system calls that block for 50 to 100 ms, while one
// waits for a timer every millisecond and notes how late it is; by a plan, so that one long wait
// counts as all in whose place it stands. No warm-up: the threads that the calls need are part of it.
package main

import (
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"runnel_bench/common"
)

const goroutines = 200

func main() {
	args := common.Parse()
	calls := args.Scaled(20)
	var over atomic.Bool
	var done atomic.Int64
	var late []float64
	var bystander, callers sync.WaitGroup
	bystander.Add(1)
	go func() {
		defer bystander.Done()
		for due := time.Now(); !over.Load(); {
			due = due.Add(time.Millisecond)
			time.Sleep(time.Until(due))
			late = append(late, float64(time.Since(due).Nanoseconds())/1e6)
		}
	}()
	callers.Add(goroutines)
	for i := 0; i < goroutines; i++ {
		go func(i int) {
			defer callers.Done()
			for n := 0; n < calls; n++ {
				left := syscall.NsecToTimespec(int64(50+i/4) * 1e6)
				err := syscall.Nanosleep(&left, &left)
				for err == syscall.EINTR { // Go's own signals
					err = syscall.Nanosleep(&left, &left)
				}
				if err == nil {
					done.Add(1)
				}
			}
		}(i)
	}
	callers.Wait()
	over.Store(true)
	bystander.Wait()
	common.Require(done.Load() == int64(goroutines*calls), "each call takes its time")
	sort.Float64s(late)
	common.Print(common.Metric{Key: "p99_ms", Value: late[len(late)*99/100]})
}
