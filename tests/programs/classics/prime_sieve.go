// The prime sieve: a chain of goroutines, one for every prime found so far, each of which lets
// through only what its prime does not divide. The chain grows by one at every prime.
package main

import (
	"fmt"
	"os"
	"strconv"
)

func count(out chan<- int) {
	for n := 2; ; n++ {
		out <- n
	}
}

func sift(prime int, in <-chan int, out chan<- int) {
	for n := range in {
		if n%prime != 0 {
			out <- n
		}
	}
}

func main() {
	primes := 1500
	if len(os.Args) > 1 {
		primes, _ = strconv.Atoi(os.Args[1])
	}
	numbers := make(chan int)
	go count(numbers)
	for i := 1; i <= primes; i++ {
		prime := <-numbers
		if i <= 10 || i%100 == 0 {
			fmt.Printf("prime %d is %d\n", i, prime)
		}
		left := make(chan int)
		go sift(prime, numbers, left)
		numbers = left
	}
}
