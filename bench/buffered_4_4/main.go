// buffered_4_4: four goroutines send to four others over one channel with a buffer of 128; time of
// a value. Warm-up: a tenth of the values.
package main

import (
	"sync"
	"sync/atomic"
	"time"

	"runnel_bench/common"
)

const pairs = 4

func transfer(valuesEach int) {
	ch := make(chan int, 128)
	var total int64
	var sent, received sync.WaitGroup
	sent.Add(pairs)
	received.Add(pairs)
	for p := 0; p < pairs; p++ {
		go func() {
			for i := 1; i <= valuesEach; i++ {
				ch <- i
			}
			sent.Done()
		}()
		go func() {
			sum := 0
			for value := range ch {
				sum += value
			}
			atomic.AddInt64(&total, int64(sum))
			received.Done()
		}()
	}
	sent.Wait()
	close(ch)
	received.Wait()
	common.Require(total == int64(pairs*(valuesEach*(valuesEach+1)/2)), "the sum")
}

func main() {
	args := common.Parse()
	valuesEach := args.Scaled(5000000)
	transfer(valuesEach / 10)
	start := time.Now()
	transfer(valuesEach)
	common.Print(common.Metric{
		Key:   "ns_per_value",
		Value: common.NanosecondsEach(start, pairs*valuesEach),
	})
}
