package common

import (
	"crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
)

// Certificate is one for servers, made by the openssl command: the same kind for whoever serves.
func Certificate() tls.Certificate {
	folder, err := os.MkdirTemp("", "runnel_bench_")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	key := filepath.Join(folder, "key.pem")
	certificate := filepath.Join(folder, "certificate.pem")
	err = exec.Command("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
		"-keyout", key, "-out", certificate).Run()
	if err != nil {
		panic(err)
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		panic(err)
	}
	return pair
}
