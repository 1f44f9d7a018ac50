// The dining philosophers: each needs the forks on both sides to eat. Nobody starves and nobody
// waits in a circle, because everyone takes the fork with the lower number first.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
)

const seats = 5

type fork struct {
	sync.Mutex
	usedBy int // the philosopher, for checking
	uses   int
}

func main() {
	meals := 2000
	if len(os.Args) > 1 {
		meals, _ = strconv.Atoi(os.Args[1])
	}
	var forks [seats]fork
	var eaten [seats]int
	var disputes [seats]int
	var table sync.WaitGroup
	for i := 0; i < seats; i++ {
		table.Add(1)
		go func(seat int) {
			defer table.Done()
			first, second := &forks[seat], &forks[(seat+1)%seats]
			if seat == seats-1 {
				first, second = second, first
			}
			for eaten[seat] < meals {
				first.Lock()
				second.Lock()
				first.usedBy, second.usedBy = seat, seat
				first.uses++
				second.uses++
				eaten[seat]++
				runtime.Gosched() // others may try now
				if first.usedBy != seat || second.usedBy != seat {
					disputes[seat]++
				}
				second.Unlock()
				first.Unlock()
			}
		}(i)
	}
	table.Wait()
	for i := 0; i < seats; i++ {
		fmt.Printf("philosopher %d ate %d times; fork %d was used %d times; disputes: %d\n",
			i, eaten[i], i, forks[i].uses, disputes[i])
	}
}
