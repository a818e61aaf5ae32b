#include "router/core/traffic_sum.hpp"

#include "router/core/upstream.hpp"

namespace svc::router {

void TimeSum::add(const TimeTally& tally) {
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    const auto n = tally.in_bucket(i);
    buckets[i] += n;
    count += n;
  }
  seconds += tally.sum_seconds();
}

void TimeSum::add(const TimeSum& other) {
  for (std::size_t i = 0; i < buckets.size(); ++i) buckets[i] += other.buckets[i];
  count += other.count;
  seconds += other.seconds;
}

double TimeSum::quantile(double q) const {
  if (count == 0) return 0;
  const double rank = q * static_cast<double>(count);
  double below = 0;
  for (std::size_t i = 0; i < TimeTally::kBounds; ++i) {
    const auto here = static_cast<double>(buckets[i]);
    if (here > 0 && below + here >= rank) {
      const double low = i == 0 ? 0 : TimeTally::kUpperSeconds[i - 1];
      return low + (TimeTally::kUpperSeconds[i] - low) * (rank - below) / here;
    }
    below += here;
  }
  return TimeTally::kUpperSeconds.back();
}

void SeriesSum::add(const Series& series) {
  requests += series.requests.value();
  retries += series.retries.value();
  prompt_tokens += series.prompt_tokens.value();
  cached_tokens += series.cached_tokens.value();
  completion_tokens += series.completion_tokens.value();
  bytes_to_client += series.bytes_to_client.value();
  for (std::size_t i = 0; i < answers.size(); ++i) answers[i] += series.answers[i].value();
  for (std::size_t i = 0; i < failures.size(); ++i) failures[i] += series.failures[i].value();
  first_byte.add(series.first_byte);
  between_chunks.add(series.between_chunks);
  whole.add(series.whole);
  queue_time.add(series.queue_time);
}

void SeriesSum::add(const SeriesSum& other) {
  requests += other.requests;
  retries += other.retries;
  prompt_tokens += other.prompt_tokens;
  cached_tokens += other.cached_tokens;
  completion_tokens += other.completion_tokens;
  bytes_to_client += other.bytes_to_client;
  for (std::size_t i = 0; i < answers.size(); ++i) answers[i] += other.answers[i];
  for (std::size_t i = 0; i < failures.size(); ++i) failures[i] += other.failures[i];
  first_byte.add(other.first_byte);
  between_chunks.add(other.between_chunks);
  whole.add(other.whole);
  queue_time.add(other.queue_time);
}

std::map<std::string, SeriesSum, std::less<>> sum_series(const UpstreamLive& live) {
  std::map<std::string, SeriesSum, std::less<>> sums;
  for (std::size_t thread = 0; thread < live.series_threads; ++thread) {
    for (const Series* series = live.series[thread].first(); series != nullptr;
         series = series->next.load(std::memory_order_acquire)) {
      sums[series->model].add(*series);
    }
  }
  return sums;
}

SeriesSum sum_models(const std::map<std::string, SeriesSum, std::less<>>& by_model) {
  SeriesSum sum;
  for (const auto& [model, one] : by_model) sum.add(one);
  return sum;
}

ThreadSum sum_threads(std::span<const ThreadStats* const> threads) {
  ThreadSum sum;
  for (const ThreadStats* stats : threads) {
    sum.requests += stats->requests.value();
    sum.own_requests += stats->own_requests.value();
    sum.connections_accepted += stats->connections_accepted.value();
    sum.connections_refused += stats->connections_refused.value();
    sum.connections_open += stats->connections_open.load(std::memory_order_relaxed);
    sum.requests_active += stats->requests_active.load(std::memory_order_relaxed);
    sum.buffered_bytes += stats->buffered_bytes.load(std::memory_order_relaxed);
    sum.upstream_connects += stats->upstream_connects.value();
    sum.upstream_reuses += stats->upstream_reuses.value();
    sum.retries += stats->retries.value();
    sum.retries_denied += stats->retries_denied.value();
    sum.panic_picks += stats->panic_picks.value();
    sum.backup_picks += stats->backup_picks.value();
    sum.client_gone += stats->client_gone.value();
    sum.attempts += stats->attempts.value();
    for (std::size_t i = 0; i < sum.refusals.size(); ++i) sum.refusals[i] += stats->refusals[i].value();
    sum.queue_time.add(stats->queue_time);
    sum.hold_time.add(stats->hold_time);
    sum.pick_to_first_byte.add(stats->pick_to_first_byte);
  }
  return sum;
}

}  // namespace svc::router
