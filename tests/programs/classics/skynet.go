// Skynet: a tree in which every goroutine starts ten others and adds up what they send, down to a
// million leaves that send their own numbers.
package main

import (
	"fmt"
	"os"
	"strconv"
)

func skynet(number, leaves int64, sum chan<- int64) {
	if leaves <= 1 {
		sum <- number
		return
	}
	parts := make(chan int64)
	part := leaves / 10
	for i := int64(0); i < 10; i++ {
		go skynet(number+i*part, part, parts)
	}
	total := int64(0)
	for i := 0; i < 10; i++ {
		total += <-parts
	}
	sum <- total
}

func main() {
	leaves := int64(1000000) // a power of ten
	if len(os.Args) > 1 {
		leaves, _ = strconv.ParseInt(os.Args[1], 10, 64)
	}
	sum := make(chan int64)
	go skynet(0, leaves, sum)
	fmt.Printf("the sum over %d leaves is %d\n", leaves, <-sum)
}
