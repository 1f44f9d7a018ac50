// sleep: 100,000 goroutines each sleep 10 ms ten times; at best 100 ms in all. No warm-up.
package main

import (
	"sync"
	"time"

	"runnel_bench/common"
)

func main() {
	args := common.Parse()
	count := args.Scaled(100000)
	start := time.Now()
	var joined sync.WaitGroup
	joined.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			for times := 0; times < 10; times++ {
				time.Sleep(10 * time.Millisecond)
			}
			joined.Done()
		}()
	}
	joined.Wait()
	common.Print(common.Metric{Key: "ms", Value: common.NanosecondsEach(start, 1) / 1e6})
}
