// idle: processor time used in 3 s in which a thousand goroutines are parked on a mutex and main
// sleeps.
package main

import (
	"sync"
	"time"

	"runnel_bench/common"
)

var held sync.Mutex

func main() {
	args := common.Parse()
	held.Lock()
	for i := 0; i < 1000; i++ {
		go func() {
			held.Lock()
			held.Unlock()
		}()
	}
	time.Sleep(100 * time.Millisecond) // all parked, and the start forgotten
	before := common.CPUMilliseconds()
	time.Sleep(time.Duration(args.Scaled(3000)) * time.Millisecond)
	common.Print(common.Metric{Key: "cpu_ms", Value: common.CPUMilliseconds() - before})
}
