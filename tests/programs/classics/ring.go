// A ring of goroutines around which a token is passed, counting its steps down. Whoever has it when
// none are left closes the channel to the next one, and so, one by one, all of them end.
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
)

func node(number int, from <-chan int, to chan<- int, end chan<- int) {
	defer close(to)
	for steps := range from {
		if steps == 0 {
			end <- number
			return
		}
		to <- steps - 1
	}
}

func main() {
	nodes := 10000
	if len(os.Args) > 1 {
		nodes, _ = strconv.Atoi(os.Args[1])
	}
	steps := 20*nodes + nodes/3

	end := make(chan int)
	first := make(chan int)
	from := first
	var ring sync.WaitGroup
	ring.Add(nodes)
	for i := 0; i < nodes; i++ {
		to := first
		if i < nodes-1 {
			to = make(chan int)
		}
		go func(number int, from <-chan int) {
			defer ring.Done()
			node(number, from, to, end)
		}(i, from)
		from = to
	}

	first <- steps
	fmt.Printf("%d nodes: after %d steps the token is at node %d\n", nodes, steps, <-end)
	ring.Wait()
	fmt.Println("all nodes have ended")
}
