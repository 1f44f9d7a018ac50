// http_idle: the server of http_hello, loaded by wrk alone and again beside 10,000 connections that have made a request each
// and are left open: what each of them takes, resident pages and page tables, and the time of a request before and then.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"

	"runnel_bench/common"
)

func main() {
	args := common.Parse()
	prefix := common.ShareCPUs(args.Procs)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "Hello, World!")
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, nil)
	port := listener.Addr().(*net.TCPAddr).Port
	fmt.Println(common.LoadOutput(prefix, "bench_idle_load", strconv.Itoa(port), strconv.Itoa(os.Getpid()),
		strconv.Itoa(args.Scaled(10000)), strconv.Itoa(args.Scaled(2))))
}
