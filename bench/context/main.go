// context: eight goroutines each derive contexts that can be cancelled from the background, and
// cancel them at once; time of a context. Warm-up: a tenth of them.
package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"runnel_bench/common"
)

const goroutines = 8

func deriveAndCancel(timesEach int) {
	var cancelled int64
	var joined sync.WaitGroup
	joined.Add(goroutines)
	for g := 0; g < goroutines; g++ {
		go func() {
			withError := 0
			for i := 0; i < timesEach; i++ {
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				if ctx.Err() != nil {
					withError++
				}
			}
			atomic.AddInt64(&cancelled, int64(withError))
			joined.Done()
		}()
	}
	joined.Wait()
	common.Require(cancelled == int64(goroutines*timesEach), "cancelled")
}

func main() {
	args := common.Parse()
	timesEach := args.Scaled(400000)
	deriveAndCancel(timesEach / 10)
	start := time.Now()
	deriveAndCancel(timesEach)
	common.Print(common.Metric{
		Key:   "ns_per_context",
		Value: common.NanosecondsEach(start, goroutines*timesEach),
	})
}
