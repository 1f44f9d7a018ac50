// A client of examples/httpd: goclient URL. Ends with 1 and a line if something is wrong.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
)

func exchange(base string, number int) error {
	text := fmt.Sprint("note ", number)
	// Of unknown length: goes in chunks.
	body := io.MultiReader(strings.NewReader(text), strings.NewReader(""))
	answer, err := http.Post(base+"/api/notes", "text/plain", body)
	if err != nil {
		return err
	}
	io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	if answer.StatusCode != 201 {
		return fmt.Errorf("POST: %s", answer.Status)
	}
	answer, err = http.Get(base + answer.Header.Get("Location"))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if string(got) != "\""+text+"\"\n" {
		return fmt.Errorf("GET: %q", got)
	}
	// Go asks for gzip and undoes it.
	large, err := http.Get(base + "/large.txt")
	if err != nil {
		return err
	}
	defer large.Body.Close()
	got, err = io.ReadAll(large.Body)
	if err != nil || len(got) != 100000 || !large.Uncompressed {
		return fmt.Errorf("large: %d bytes, compressed: %v, %v", len(got), large.Uncompressed, err)
	}
	return nil
}

func main() {
	var all sync.WaitGroup
	failed := false
	for i := 0; i < 50; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			if err := exchange(os.Args[1], i); err != nil {
				failed = true
				fmt.Println(err)
			}
		}(i)
	}
	all.Wait()
	if failed {
		os.Exit(1)
	}
}
