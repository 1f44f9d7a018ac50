// select_unbuffered: four goroutines each send on an unbuffered channel of their own, and one more
// selects over the four; time of a value. Warm-up: a tenth of the values.
package main

import (
	"sync"
	"time"

	"runnel_bench/common"
)

const producers = 4

func transfer(valuesEach int) {
	var ch [producers]chan int
	for p := range ch {
		one := make(chan int)
		ch[p] = one
		go func() {
			for i := 1; i <= valuesEach; i++ {
				one <- i
			}
		}()
	}
	sum := 0
	var joined sync.WaitGroup
	joined.Add(1)
	go func() {
		for i := 0; i < producers*valuesEach; i++ {
			var value int
			select {
			case value = <-ch[0]:
			case value = <-ch[1]:
			case value = <-ch[2]:
			case value = <-ch[3]:
			}
			sum += value
		}
		joined.Done()
	}()
	joined.Wait()
	common.Require(sum == producers*(valuesEach*(valuesEach+1)/2), "the sum")
}

func main() {
	args := common.Parse()
	valuesEach := args.Scaled(750000)
	transfer(valuesEach / 10)
	start := time.Now()
	transfer(valuesEach)
	common.Print(common.Metric{
		Key:   "ns_per_value",
		Value: common.NanosecondsEach(start, producers*valuesEach),
	})
}
