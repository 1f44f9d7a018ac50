// goserver [CERTIFICATE KEY]: a server for tests/peers/client.cpp, over TLS if it has a certificate. Prints its address; ends with its standard
// input.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
)

func main() {
	http.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Proto", r.Proto)
		fmt.Fprint(w, "hello ", r.URL.Query().Get("n"))
	})
	http.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Bytes")
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		w.Write(body[:10])
		w.(http.Flusher).Flush()
		w.Write(body[10:])
		w.Header().Set("X-Bytes", strconv.Itoa(len(body)))
	})
	http.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/hello", http.StatusSeeOther)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr())
	if len(os.Args) > 2 {
		go http.ServeTLS(listener, nil, os.Args[1], os.Args[2])
	} else {
		go http.Serve(listener, nil)
	}
	io.Copy(io.Discard, os.Stdin)
}
