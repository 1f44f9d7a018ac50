// yield: two goroutines yield to one another; time over the yields of both. Warm-up: a tenth of
// the yields.
package main

import (
	"runtime"
	"sync"
	"time"

	"runnel_bench/common"
)

const goroutines = 2

func yieldToOneAnother(timesEach int) {
	var joined sync.WaitGroup
	joined.Add(goroutines)
	for g := 0; g < goroutines; g++ {
		go func() {
			for i := 0; i < timesEach; i++ {
				runtime.Gosched()
			}
			joined.Done()
		}()
	}
	joined.Wait()
}

func main() {
	args := common.Parse()
	timesEach := args.Scaled(10000000)
	yieldToOneAnother(timesEach / 10)
	start := time.Now()
	yieldToOneAnother(timesEach)
	common.Print(common.Metric{
		Key:   "ns_per_yield",
		Value: common.NanosecondsEach(start, goroutines*timesEach),
	})
}
