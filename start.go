package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"potluck/ledger"
)

// makeFolders makes the data folder and those in it, or says in one sentence why it cannot.
func makeFolders(dir string, below ...string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the data folder %s cannot be made (%w): mend the permissions of the folder around it, or choose another with data_dir or POTLUCK_DATA_DIR", dir, reason(err))
	}
	for _, name := range below {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return fmt.Errorf("the data folder %s cannot be written (%s: %w): mend its permissions, or choose another with data_dir or POTLUCK_DATA_DIR", dir, name, reason(err))
		}
	}
	return writable(dir)
}

// writable tries to make a file in dir.
func writable(dir string) error {
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return fmt.Errorf("the data folder %s cannot be written (%w): mend its permissions, or choose another with data_dir or POTLUCK_DATA_DIR", dir, reason(err))
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// listen opens the one address, or says in one sentence why it cannot.
func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the address %s is in use by another program (or another Potluck): stop that one, or choose another with http.addr or POTLUCK_HTTP_ADDR", addr)
	case err != nil:
		return nil, fmt.Errorf("the address %s cannot be used (%w): choose another with http.addr or POTLUCK_HTTP_ADDR", addr, reason(err))
	}
	return l, nil
}

// reason is the system's own word ("permission denied") without the path or address that the sentence names already.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	return err
}

// reachable is the address of a listener as a browser on this machine reaches it.
func reachable(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return a.String()
	}
	if tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", fmt.Sprint(tcp.Port))
	}
	return tcp.String()
}

func loadRates(path string) (*ledger.Rates, error) {
	if path == "" {
		return ledger.DefaultRates(), nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the rate table %s cannot be read (%w): mend credits.rates_file", path, reason(err))
	}
	r, err := ledger.LoadRates(b)
	if err != nil {
		return nil, fmt.Errorf("the rate table %s: %w", path, err)
	}
	return r, nil
}
