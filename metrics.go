package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"potluck/bot"
	"potluck/storage"
	"potluck/workers"
)

// metrics turns the plain numbers of pool, Router and database into what Prometheus reads.
type metrics struct {
	pool   *workers.Pool
	db     *storage.DB
	router *bot.Router
}

var (
	workersNow    = prometheus.NewDesc("potluck_workers", "Linked workers that are there, by what they do.", []string{"state"}, nil)
	jobsQueued    = prometheus.NewDesc("potluck_jobs_queued", "Jobs in line, by kind.", []string{"kind"}, nil)
	jobsRunning   = prometheus.NewDesc("potluck_jobs_running", "Jobs at work, by kind.", []string{"kind"}, nil)
	requestsOpen  = prometheus.NewDesc("potluck_requests_unfinished", "Requests whose final answer is not delivered yet.", nil, nil)
	attemptsEnded = prometheus.NewDesc("potluck_attempts_ended_total", "Attempts that ended since the start, by outcome.", []string{"outcome"}, nil)
	settleSeconds = prometheus.NewDesc("potluck_settle_seconds_total", "Time spent saving results and settlements since the start.", nil, nil)
	settlements   = prometheus.NewDesc("potluck_settlements_total", "Results saved and settled since the start.", nil, nil)
	commits       = prometheus.NewDesc("potluck_db_commits_total", "Commits (one fsync each) since the start.", nil, nil)
	writes        = prometheus.NewDesc("potluck_db_writes_total", "Writes in these commits since the start.", nil, nil)
	writesFailed  = prometheus.NewDesc("potluck_db_writes_failed_total", "Writes that were taken back since the start.", nil, nil)
	writesWaiting = prometheus.NewDesc("potluck_db_writes_waiting", "Writes that wait for the writer.", nil, nil)
	diskRefuses   = prometheus.NewDesc("potluck_db_disk_refuses", "1 while the disk takes no writes: full, read-only or broken.", nil, nil)
	commitSeconds = prometheus.NewDesc("potluck_db_commit_seconds_total", "Time spent in commits since the start.", nil, nil)
	commitSlowest = prometheus.NewDesc("potluck_db_commit_slowest_seconds", "The slowest commit since the start.", nil, nil)
)

func (m metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

func (m metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	p := m.pool.Stats()
	for state, n := range p.Workers {
		gauge(workersNow, float64(n), string(state))
	}
	for kind, n := range p.Queued {
		gauge(jobsQueued, float64(n), string(kind))
	}
	for kind, n := range p.Running {
		gauge(jobsRunning, float64(n), string(kind))
	}
	if n, known := m.router.Unfinished(); known {
		gauge(requestsOpen, float64(n))
	}
	for outcome, n := range p.Attempts {
		counter(attemptsEnded, float64(n), string(outcome))
	}
	counter(settlements, float64(p.Settled))
	counter(settleSeconds, p.SettleTime.Seconds())
	d := m.db.Stats()
	counter(commits, float64(d.Commits))
	counter(writes, float64(d.Written))
	counter(writesFailed, float64(d.Failed))
	gauge(writesWaiting, float64(d.Queue))
	refuses := 0.0
	if d.Refused {
		refuses = 1
	}
	gauge(diskRefuses, refuses)
	counter(commitSeconds, d.CommitTotal.Seconds())
	gauge(commitSlowest, d.CommitSlowest.Seconds())
}
