// sync_map: eight goroutines look up a thousand int keys in one map, all of which are there; one
// operation in a thousand stores. Time of an operation. Warm-up: a tenth of them.
package main

import (
	"sync"
	"sync/atomic"
	"time"

	"runnel_bench/common"
)

const (
	goroutines    = 8
	keys          = 1000
	stride        = 617 // no common factor with keys: a walk passes all of them
	loadsPerStore = 999
)

func readMostly(m *sync.Map, storesEach int) {
	var right int64
	var joined sync.WaitGroup
	joined.Add(goroutines)
	for g := 0; g < goroutines; g++ {
		go func() {
			found := 0
			key := 0
			for s := 0; s < storesEach; s++ {
				stored := s % keys
				m.Store(stored, stored)
				for l := 0; l < loadsPerStore; l++ {
					key = (key + stride) % keys
					if value, ok := m.Load(key); ok && value.(int) == key {
						found++
					}
				}
			}
			atomic.AddInt64(&right, int64(found))
			joined.Done()
		}()
	}
	joined.Wait()
	common.Require(right == int64(goroutines*storesEach*loadsPerStore), "what was loaded")
}

func main() {
	args := common.Parse()
	var m sync.Map
	for key := 0; key < keys; key++ {
		m.Store(key, key)
	}
	storesEach := args.Scaled(6000)
	readMostly(&m, storesEach/10)
	start := time.Now()
	readMostly(&m, storesEach)
	common.Print(common.Metric{
		Key:   "ns_per_operation",
		Value: common.NanosecondsEach(start, goroutines*storesEach*(1+loadsPerStore)),
	})
}
