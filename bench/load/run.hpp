// One run: warm-up, measured window, and the time that the exchanges that are going on then take to end.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "bench/load/client.hpp"
#include "bench/load/pacer.hpp"
#include "bench/load/process_usage.hpp"

namespace svc::load {

/// What the measured process was at the beginning of the run, and at both ends of the window.
struct Measured {
  Usage before_load, window_start, window_end;
  Duration window{};
  std::size_t open_streams = 0;  ///< at the end of the window
};

class Run final : private Shared {
 public:
  Run(const Options& options, EventLoop& loop, Tally& tally);

  /// Runs the loop until all is over. Errors: not_found, when the measured process is not there or ends meanwhile.
  Result<Measured> execute();

 private:
  enum class Phase : std::uint8_t { warmup, window, draining };

  void on_idle(Client& client) override;
  void begin_closed();
  void arrive(TimePoint due);
  void begin(Client& client, TimePoint due);
  void on_phase_end(TimePoint now);
  void open_window(TimePoint now);
  void close_window(TimePoint now);
  void end();
  [[nodiscard]] std::size_t busy() const;
  Usage usage(bool with_memory);

  Phase phase_ = Phase::warmup;
  Measured measured_;
  ProcessTree process_;
  std::optional<Error> error_;  // the measured process is gone
  TimePoint window_start_;
  std::uint64_t ended_before_ = 0;  // when the window began
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<Client*> idle_;      // open loop
  std::deque<TimePoint> waiting_;  // open loop: due, but every client is busy
  std::unique_ptr<Pacer> pacer_;
  std::size_t started_ = 0;  // closed loop with a ramp: clients that have begun
  MemberTimer<Run, &Run::on_phase_end> phase_timer_{*this};
};

}  // namespace svc::load
