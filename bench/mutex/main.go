// mutex: eight goroutines take one mutex in turns to add to one counter. Warm-up: a tenth of the
// turns.
package main

import (
	"sync"
	"time"

	"runnel_bench/common"
)

const goroutines = 8

func countUnderMutex(timesEach int) {
	var mutex sync.Mutex
	counter := 0
	var joined sync.WaitGroup
	joined.Add(goroutines)
	for g := 0; g < goroutines; g++ {
		go func() {
			for i := 0; i < timesEach; i++ {
				mutex.Lock()
				counter++
				mutex.Unlock()
			}
			joined.Done()
		}()
	}
	joined.Wait()
	common.Require(counter == goroutines*timesEach, "the counter")
}

func main() {
	args := common.Parse()
	timesEach := args.Scaled(5000000)
	countUnderMutex(timesEach / 10)
	start := time.Now()
	countUnderMutex(timesEach)
	common.Print(common.Metric{
		Key:   "ns_per_pair",
		Value: common.NanosecondsEach(start, goroutines*timesEach),
	})
}
