// goclient URL [ROOTS]: a client of examples/httpd, or over TLS and by HTTP/2 of tests/peers/https_server.cpp. Ends with 1 and a line if
// something is wrong.
package main

import (
	"crypto/tls"
	"crypto/x509"
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
	if strings.HasPrefix(base, "https") && answer.ProtoMajor != 2 {
		return fmt.Errorf("POST: by %s", answer.Proto)
	}
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

func trust(file string) {
	pem, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	http.DefaultTransport = &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2: true,
	}
}

func main() {
	if len(os.Args) > 2 {
		trust(os.Args[2])
	}
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
