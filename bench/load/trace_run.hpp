// A trace in real time over sockets: each request begins when it is due, and those that follow another when that has
// ended. Times are the trace's own: what a faster run takes is multiplied by its speed.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "bench/load/client.hpp"
#include "bench/load/process_usage.hpp"
#include "bench/routing/simulation.hpp"
#include "bench/sim/alarm.hpp"

namespace svc::load {

struct TraceSettings {
  double rate = 1;        ///< times of the trace are divided by it
  double speed = 1;       ///< so many seconds of the trace's engines pass in a real one
  std::vector<int> pids;  ///< of processes whose CPU time is told
};

struct TraceResult {
  routing::RunResult run;     ///< without what happens within the engines; rows that failed are not in `order`
  std::vector<double> cores;  ///< that each process of settings.pids kept busy
  double own_cores = 0;       ///< the same of this one
  double machine_share = 0;   ///< of all cores, also by others; 0: not known
  double real_seconds = 0;
  Duration most_late{};  ///< real time between when a request was due and was begun
};

class TraceRun final : private Shared {
 public:
  TraceRun(const Options& options, EventLoop& loop, Tally& tally, const routing::Trace& trace,
           const TraceSettings& settings);

  /// Runs the loop until the last request has ended or failed. Errors: not_found, when one of the processes is not there
  /// or ends meanwhile.
  Result<TraceResult> execute();

 private:
  struct Slot {
    std::unique_ptr<Client> client;
    std::string request;
    std::uint32_t row = 0;
  };

  void on_idle(Client& client) override;
  void plan(std::uint32_t row, double at);
  void begin(std::uint32_t row, double at);
  [[nodiscard]] TimePoint real(double at) const;
  [[nodiscard]] double virtual_time(TimePoint at) const;

  const routing::Trace& trace_;
  const TraceSettings& settings_;
  sim::Delays delays_;
  TimePoint start_;
  std::deque<Slot> slots_;  // one for each connection; the client's number is its place
  std::vector<std::size_t> idle_;
  std::vector<std::vector<std::uint32_t>> followers_;
  std::vector<bool> failed_;
  std::size_t left_ = 0;
  TraceResult result_;
};

}  // namespace svc::load
