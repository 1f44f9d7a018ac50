// Merge sort with a goroutine for one half of every range that is worth it. The two halves of a
// range share the buffer that they are merged in, and a channel says when the other half is sorted.
package main

import (
	"fmt"
	"os"
	"sort"
	"strconv"
)

const worthwhile = 1 << 12 // numbers to be sorted by a goroutine of their own

func merge(left, right, out []uint32) {
	for len(left) > 0 && len(right) > 0 {
		if right[0] < left[0] {
			out[0], right = right[0], right[1:]
		} else {
			out[0], left = left[0], left[1:]
		}
		out = out[1:]
	}
	copy(out, left)
	copy(out[len(left):], right)
}

func mergeSort(numbers, buffer []uint32) {
	if len(numbers) < 2 {
		return
	}
	middle := len(numbers) / 2
	if len(numbers) < worthwhile {
		mergeSort(numbers[:middle], buffer[:middle])
		mergeSort(numbers[middle:], buffer[middle:])
	} else {
		sorted := make(chan struct{})
		go func() {
			mergeSort(numbers[:middle], buffer[:middle])
			close(sorted)
		}()
		mergeSort(numbers[middle:], buffer[middle:])
		<-sorted
	}
	merge(numbers[:middle], numbers[middle:], buffer)
	copy(numbers, buffer)
}

func main() {
	n := 1000000
	if len(os.Args) > 1 {
		n, _ = strconv.Atoi(os.Args[1])
	}
	numbers := make([]uint32, n)
	sumBefore := uint64(0)
	random := uint32(1)
	for i := range numbers {
		random = random*1664525 + 1013904223
		numbers[i] = random
		sumBefore += uint64(random)
	}

	mergeSort(numbers, make([]uint32, n))

	sum := uint64(0)
	for _, number := range numbers {
		sum += uint64(number)
	}
	inOrder := sort.SliceIsSorted(numbers, func(i, j int) bool { return numbers[i] < numbers[j] })
	fmt.Printf("%d numbers, in order: %t, none lost: %t\n", n, inOrder, sum == sumBefore)
	for i := 0; i < n; i += n / 8 {
		fmt.Printf("%8d. %d\n", i, numbers[i])
	}
}
