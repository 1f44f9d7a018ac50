// wordfreq in Go, to compare with the one in examples/wordfreq: the same program in the same shape,
// on Go's own goroutines, maps and files. Prints the same result.
//
// Every directory is listed and every file counted by a goroutine of its own. A file's goroutine is
// started with a counter in hand, and there are only so many counters: the channel they wait in is
// the semaphore that bounds the concurrency.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"
)

const (
	wordBytesMax  = 64
	chunkBytes    = 64 << 10
	failuresNamed = 5
)

// lower maps a letter to lower case, a byte from 0x80 on to itself and all else to 0.
var lower = func() (table [256]byte) {
	for c := range table {
		switch {
		case 'a' <= c && c <= 'z' || c >= 0x80:
			table[c] = byte(c)
		case 'A' <= c && c <= 'Z':
			table[c] = byte(c) | 0x20
		}
	}
	return
}()

type counter struct {
	counts                       map[string]*uint64
	buffer                       []byte
	word                         []byte // of the word begun, wordBytesMax bytes at most
	length                       int    // of the word begun
	files, bytes, words, tooLong uint64
}

func newCounter() *counter {
	return &counter{
		counts: make(map[string]*uint64),
		buffer: make([]byte, chunkBytes),
		word:   make([]byte, 0, wordBytesMax),
	}
}

func (c *counter) countFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil {
		return err
	} else if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "open", Path: path, Err: syscall.EINVAL}
	}
	defer func() { c.word, c.length = c.word[:0], 0 }()
	for {
		n, err := file.Read(c.buffer)
		c.countChunk(c.buffer[:n])
		if err == io.EOF {
			c.endWord()
			c.files++
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *counter) countChunk(text []byte) {
	c.bytes += uint64(len(text))
	for i := 0; i < len(text); {
		if lower[text[i]] == 0 {
			c.endWord()
			for i++; i < len(text) && lower[text[i]] == 0; i++ {
			}
			continue
		}
		begin := i
		for ; i < len(text); i++ {
			letter := lower[text[i]]
			if letter == 0 {
				break
			}
			text[i] = letter
		}
		c.length += i - begin
		if c.length <= wordBytesMax {
			if len(c.word) == 0 && i < len(text) {
				c.count(text[begin:i]) // all of it is here
				c.length = 0
			} else {
				c.word = append(c.word, text[begin:i]...)
			}
		}
	}
}

func (c *counter) endWord() {
	if c.length > wordBytesMax {
		c.tooLong++
	} else if c.length > 0 {
		c.count(c.word)
	}
	c.word, c.length = c.word[:0], 0
}

func (c *counter) count(word []byte) {
	c.words++
	if n := c.counts[string(word)]; n != nil {
		*n++
		return
	}
	one := uint64(1)
	c.counts[string(word)] = &one
}

type job struct {
	counters chan *counter
	running  sync.WaitGroup
	opening  atomic.Int32 // who uses a file descriptor

	mutex               sync.Mutex
	skipped, unreadable uint64
	failures            []error
}

// withDescriptor runs attempt, and again as long as descriptors are lacking that others will free.
func (j *job) withDescriptor(attempt func() error) error {
	for alone := 0; ; {
		j.opening.Add(1)
		err := attempt()
		others := j.opening.Add(-1) > 0
		if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
			return err
		}
		if !others {
			if alone++; alone == 3 {
				return err
			}
		}
		time.Sleep(time.Millisecond)
	}
}

func (j *job) visit(path string, mode fs.FileMode) {
	switch {
	case mode.IsDir():
		j.running.Add(1)
		go func() {
			defer j.running.Done()
			j.countDirectory(path)
		}()
	case mode.IsRegular():
		c := <-j.counters
		j.running.Add(1)
		go func() {
			defer j.running.Done()
			err := j.withDescriptor(func() error { return c.countFile(path) })
			j.counters <- c
			if err != nil {
				j.fail(err)
			}
		}()
	default:
		j.mutex.Lock()
		j.skipped++
		j.mutex.Unlock()
	}
}

func (j *job) countDirectory(path string) {
	var entries []fs.DirEntry
	err := j.withDescriptor(func() error {
		directory, err := os.Open(path)
		if err != nil {
			return err
		}
		defer directory.Close()
		entries, err = directory.ReadDir(-1)
		return err
	})
	if err != nil {
		j.fail(err)
	}
	for _, entry := range entries {
		j.visit(filepath.Join(path, entry.Name()), entry.Type())
	}
}

func (j *job) fail(err error) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.unreadable++
	j.failures = append(j.failures, err)
	sort.Slice(j.failures, func(a, b int) bool {
		return j.failures[a].Error() < j.failures[b].Error()
	})
	if len(j.failures) > failuresNamed {
		j.failures = j.failures[:failuresNamed]
	}
}

type rankedWord struct {
	text  string
	count uint64
}

func merge(counters []*counter) []rankedWord {
	sort.Slice(counters, func(a, b int) bool {
		return len(counters[a].counts) > len(counters[b].counts)
	})
	all := counters[0].counts
	for _, c := range counters[1:] {
		for text, count := range c.counts {
			if n := all[text]; n != nil {
				*n += *count
			} else {
				all[text] = count
			}
		}
	}
	words := make([]rankedWord, 0, len(all))
	for text, count := range all {
		words = append(words, rankedWord{text, *count})
	}
	return words
}

func before(a, b rankedWord) bool {
	if a.count != b.count {
		return a.count > b.count
	}
	return a.text < b.text
}

// rank returns the first `top` words in order.
func rank(words []rankedWord, top int) []rankedWord {
	if top >= len(words) {
		sort.Slice(words, func(a, b int) bool { return before(words[a], words[b]) })
		return words
	}
	best := make([]rankedWord, 0, top+1)
	for _, word := range words {
		if len(best) == top && (top == 0 || before(best[top-1], word)) {
			continue
		}
		at := sort.Search(len(best), func(i int) bool { return before(word, best[i]) })
		best = append(best, word)
		copy(best[at+1:], best[at:])
		best[at] = word
		if len(best) > top {
			best = best[:top]
		}
	}
	return best
}

// printable writes what is not UTF-8 and what controls a terminal as \xNN.
func printable(text string) string {
	var shown bytes.Buffer
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 || r < 0x20 || 0x7f <= r && r < 0xa0 {
			for _, c := range []byte(text[i : i+n]) {
				fmt.Fprintf(&shown, "\\x%02x", c)
			}
		} else {
			shown.WriteString(text[i : i+n])
		}
		i += n
	}
	return shown.String()
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func main() {
	top := flag.Int("top", 20, "print the `N` most frequent words")
	jobs := flag.Int("jobs", runtime.GOMAXPROCS(0), "count at most `N` files at the same time")
	flag.Bool("no-progress", true, "accepted; there is no progress to show")
	flag.Parse()
	roots := flag.Args()
	if len(roots) == 0 {
		for _, path := range []string{"/usr/share/doc", "/usr/share/common-licenses", "/usr/share/perl", "/usr/share/perl5"} {
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				roots = append(roots, path)
			}
		}
	}

	start, cpuStart := time.Now(), cpuTime()
	j := job{counters: make(chan *counter, *jobs)}
	var counters []*counter
	for i := 0; i < *jobs; i++ {
		counters = append(counters, newCounter())
		j.counters <- counters[len(counters)-1]
	}
	status := 0
	for _, root := range roots {
		if info, err := os.Stat(root); err != nil {
			j.fail(err)
			status = 1
		} else {
			j.visit(root, info.Mode())
		}
	}
	j.running.Wait()

	var files, read, counted, tooLong uint64
	for _, c := range counters {
		files += c.files
		read += c.bytes
		counted += c.words
		tooLong += c.tooLong
	}
	words := merge(counters)
	distinct := len(words)
	best := rank(words, *top)

	out := bytes.Buffer{}
	for _, word := range best {
		fmt.Fprintf(&out, "%12d  %s\n", word.count, printable(word.text))
	}
	if len(best) > 0 {
		fmt.Fprintln(&out)
	}
	line := func(name string, value uint64, remark string) {
		if value == 0 {
			remark = ""
		}
		fmt.Fprintf(&out, "%-11s %12d%s\n", name, value, remark)
	}
	line("files", files, "")
	line("bytes", read, "")
	line("words", counted, "")
	line("distinct", uint64(distinct), "")
	line("too long", tooLong, "  runs of letters longer than any word")
	line("skipped", j.skipped, "  symbolic links, pipes, sockets, devices")
	line("unreadable", j.unreadable, "  files and directories")
	if _, err := os.Stdout.Write(out.Bytes()); err != nil {
		fmt.Fprintln(os.Stderr, "wordfreq: the result cannot be written:", err)
		status = 1
	}
	for _, err := range j.failures {
		fmt.Fprintln(os.Stderr, "wordfreq:", err)
	}
	if more := j.unreadable - uint64(len(j.failures)); more > 0 {
		fmt.Fprintf(os.Stderr, "wordfreq: and %d more that cannot be read\n", more)
	}
	seconds := time.Since(start).Seconds()
	fmt.Fprintf(os.Stderr, "%.3f s, %.1f MB/s, %.0f files/s, %.2f cores\n", seconds,
		float64(read)/1e6/seconds, float64(files)/seconds,
		(cpuTime()-cpuStart).Seconds()/seconds)
	os.Exit(status)
}
