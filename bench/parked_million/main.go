// parked_million: a million goroutines parked on a mutex that main holds: seconds until all are,
// bytes for each. No warm-up: first use of the memory is what is measured.
package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"runnel_bench/common"
)

var (
	held    sync.Mutex
	arrived int64
	passed  int64
)

func main() {
	args := common.Parse()
	count := args.Scaled(1000000)
	before := common.MemoryBytes()
	start := time.Now()
	held.Lock()
	for i := 0; i < count; i++ {
		go func() {
			atomic.AddInt64(&arrived, 1)
			held.Lock()
			atomic.AddInt64(&passed, 1)
			held.Unlock()
		}()
	}
	for atomic.LoadInt64(&arrived) < int64(count) {
		runtime.Gosched()
	}
	seconds := time.Since(start).Seconds()
	bytes := common.MemoryBytes() - before
	common.Require(atomic.LoadInt64(&passed) == 0, "a goroutine got past a mutex that is held")
	common.Print(
		common.Metric{Key: "seconds", Value: seconds},
		common.Metric{Key: "bytes_each", Value: bytes / float64(count)},
	)
}
