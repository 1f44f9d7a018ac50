// panic: on each P a goroutine calls a function that panics and recovers, again and again; time of
// a panic and its recovery on one P. The fastest of 125 runs.
package main

import (
	"sync"
	"sync/atomic"

	"runnel_bench/common"
)

//go:noinline
func fail() { panic("failed") }

//go:noinline
func panicAndRecover() (recovered bool) {
	defer func() { recovered = recover() != nil }()
	fail()
	return
}

func main() {
	args := common.Parse()
	onEach := func(times int) {
		var recovered int64
		var joined sync.WaitGroup
		joined.Add(args.Procs)
		for p := 0; p < args.Procs; p++ {
			go func() {
				mine := 0
				for i := 0; i < times; i++ {
					if panicAndRecover() {
						mine++
					}
				}
				atomic.AddInt64(&recovered, int64(mine))
				joined.Done()
			}()
		}
		joined.Wait()
		common.Require(recovered == int64(times*args.Procs), "recovered")
	}
	ns := common.FastestOfEach(125, args.Scaled(2000), onEach)
	common.Print(common.Metric{Key: "ns_per_panic", Value: ns[0]})
}
