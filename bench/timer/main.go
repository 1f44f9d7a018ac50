// timer: eight goroutines each make timers of an hour and stop them at once; time of a timer.
// Warm-up: a tenth of them.
package main

import (
	"sync"
	"sync/atomic"
	"time"

	"runnel_bench/common"
)

const goroutines = 8

func makeAndStop(timesEach int) {
	var stopped int64
	var joined sync.WaitGroup
	joined.Add(goroutines)
	for g := 0; g < goroutines; g++ {
		go func() {
			inTime := 0
			for i := 0; i < timesEach; i++ {
				if time.NewTimer(time.Hour).Stop() {
					inTime++
				}
			}
			atomic.AddInt64(&stopped, int64(inTime))
			joined.Done()
		}()
	}
	joined.Wait()
	common.Require(stopped == int64(goroutines*timesEach), "stopped in time")
}

func main() {
	args := common.Parse()
	timesEach := args.Scaled(500000)
	makeAndStop(timesEach / 10)
	start := time.Now()
	makeAndStop(timesEach)
	common.Print(common.Metric{
		Key:   "ns_per_timer",
		Value: common.NanosecondsEach(start, goroutines*timesEach),
	})
}
