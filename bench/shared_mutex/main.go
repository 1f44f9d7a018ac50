// shared_mutex: eight goroutines read a value under one shared mutex; one operation in a thousand
// writes it. Time of an operation. Warm-up: a tenth of them.
package main

import (
	"sync"
	"sync/atomic"
	"time"

	"runnel_bench/common"
)

const (
	goroutines    = 8
	readsPerWrite = 999
)

func readMostly(writesEach int) {
	var mutex sync.RWMutex
	value := 1
	var nonzero int64
	var joined sync.WaitGroup
	joined.Add(goroutines)
	for g := 0; g < goroutines; g++ {
		go func() {
			seen := 0
			for w := 0; w < writesEach; w++ {
				mutex.Lock()
				value++
				mutex.Unlock()
				for r := 0; r < readsPerWrite; r++ {
					mutex.RLock()
					if value != 0 {
						seen++
					}
					mutex.RUnlock()
				}
			}
			atomic.AddInt64(&nonzero, int64(seen))
			joined.Done()
		}()
	}
	joined.Wait()
	common.Require(value == 1+goroutines*writesEach, "the value")
	common.Require(nonzero == int64(goroutines*writesEach*readsPerWrite), "what was read")
}

func main() {
	args := common.Parse()
	writesEach := args.Scaled(6000)
	readMostly(writesEach / 10)
	start := time.Now()
	readMostly(writesEach)
	common.Print(common.Metric{
		Key:   "ns_per_operation",
		Value: common.NanosecondsEach(start, goroutines*writesEach*(1+readsPerWrite)),
	})
}
