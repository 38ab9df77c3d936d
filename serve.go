package main

import (
	"context"
	"fmt"

	"potluck/web/operator"
)

// serve runs Potluck for a community until ctx ends.
func serve(ctx context.Context, c call) error {
	h, err := build(ctx, c.config, c.log, false)
	if err != nil {
		return err
	}
	c.log.Info("potluck", "version", version, "addr", h.listener.Addr().String(), "data", c.config.DataDir)
	if h.operatorURL != "" {
		// On standard output, not in the log: whoever opens it first becomes operator.
		fmt.Fprintf(c.out, "Potluck is at %s\nBe its operator: %s (works once)\nThe operator's view: %s%s\n", h.publicURL(), h.operatorURL, h.publicURL(), operator.Path)
	}
	return h.Run(ctx)
}
