package main

import (
	"context"
	"fmt"
	"strings"

	"potluck/workers/protocol"
)

// check builds everything as serve would, without serving, and says what an operator should know.
func check(ctx context.Context, c call) error {
	h, err := build(ctx, c.config, c.log, true)
	if err != nil {
		return err
	}
	defer h.close()
	fmt.Fprintln(c.out, "ok    configuration, data folder", c.config.DataDir+", database, keys, address", c.config.HTTP.Addr)
	linked, err := h.pool.Workers(ctx, 0)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "ok    %d linked workers\n", len(linked))
	switch url := c.config.HTTP.PublicURL; {
	case url == "":
		fmt.Fprintln(c.out, "todo  http.public_url is empty: members cannot link workers. docs/publishing.md shows how to get an address")
	case protocol.Loopback(url):
		fmt.Fprintln(c.out, "todo  http.public_url is an address that only this machine reaches: members cannot link workers. See docs/publishing.md")
	case strings.HasPrefix(url, "http://"):
		fmt.Fprintln(c.out, "note  http.public_url has no TLS: fine inside a home network or VPN only")
	default:
		fmt.Fprintln(c.out, "ok    workers and visitors reach it at", url)
	}
	if !c.config.Page.Enabled {
		fmt.Fprintln(c.out, "todo  page.enabled is false, and the page is the only platform of this version: nobody can talk to the bot")
	}
	return nil
}
