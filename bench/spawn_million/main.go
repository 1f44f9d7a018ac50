// spawn_million: a million goroutines at once, then joined. No warm-up: first use of the memory
// is part of it.
package main

import (
	"sync"
	"time"

	"runnel_bench/common"
)

func main() {
	args := common.Parse()
	count := args.Scaled(1000000)
	start := time.Now()
	var joined sync.WaitGroup
	joined.Add(count)
	for i := 0; i < count; i++ {
		go func() { joined.Done() }()
	}
	joined.Wait()
	common.Print(common.Metric{Key: "ns_each", Value: common.NanosecondsEach(start, count)})
}
