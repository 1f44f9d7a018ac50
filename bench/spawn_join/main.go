// spawn_join: batches of 1000 goroutines, each batch joined by a wait group. Warm-up: a tenth of
// the batches.
package main

import (
	"sync"
	"time"

	"runnel_bench/common"
)

const batchSize = 1000

func spawnAndJoin(batches int) {
	var joined sync.WaitGroup
	for batch := 0; batch < batches; batch++ {
		joined.Add(batchSize)
		for i := 0; i < batchSize; i++ {
			go func() { joined.Done() }()
		}
		joined.Wait()
	}
}

func main() {
	args := common.Parse()
	batches := args.Scaled(3000)
	spawnAndJoin(args.Scaled(300))
	start := time.Now()
	spawnAndJoin(batches)
	common.Print(common.Metric{
		Key:   "ns_each",
		Value: common.NanosecondsEach(start, batches*batchSize),
	})
}
