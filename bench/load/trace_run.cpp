#include "bench/load/trace_run.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "bench/load/prompt_text.hpp"

namespace svc::load {
namespace {

// Until the first request, so that all that is planned lies ahead.
constexpr Duration kHeadStart = std::chrono::milliseconds(100);

double seconds(Duration value) { return std::chrono::duration<double>(value).count(); }

/// CPU time of each process, the last one being this one.
class Meters {
 public:
  static Result<Meters> of(std::vector<int> pids) {
    Meters meters;
    pids.push_back(::getpid());
    for (const int pid : pids) {
      auto process = ProcessTree::of(pid);
      if (!process) return process.error();
      meters.processes_.push_back(std::move(*process));
    }
    return meters;
  }

  [[nodiscard]] Result<std::vector<Duration>> read() const {
    std::vector<Duration> used;
    for (const auto& process : processes_) {
      const auto usage = process.usage(false);
      if (!usage) return usage.error();
      used.push_back(usage->cpu);
    }
    return used;
  }

 private:
  std::vector<ProcessTree> processes_;
};

}  // namespace

TraceRun::TraceRun(const Options& options_in, EventLoop& loop_in, Tally& tally_in, const routing::Trace& trace,
                   const TraceSettings& settings)
    : Shared(options_in, loop_in, tally_in),
      trace_(trace),
      settings_(settings),
      delays_(loop_in),
      followers_(trace.rows.size()),
      failed_(trace.rows.size()),
      left_(trace.rows.size()) {
  result_.run.passages.resize(trace.rows.size());
}

Result<TraceResult> TraceRun::execute() {
  const auto meters = Meters::of(settings_.pids);
  if (!meters) return meters.error();
  const auto before = meters->read();
  if (!before) return before.error();
  const auto machine_before = machine_usage();
  start_ = steady_now() + kHeadStart;
  tally.measuring = true;
  for (std::uint32_t row = 0; row < trace_.rows.size(); ++row) {
    const auto& recorded = trace_.rows[row];
    if (recorded.after == routing::Request::kNobody) {
      plan(row, recorded.at / settings_.rate);
    } else {
      followers_[recorded.after].push_back(row);
    }
  }
  loop.run();
  const auto real_time = steady_now() - start_;
  const auto after = meters->read();
  if (!after) return after.error();
  const auto machine_after = machine_usage();
  result_.real_seconds = seconds(real_time);
  for (std::size_t i = 0; i < after->size(); ++i) {
    result_.cores.push_back(seconds((*after)[i] - (*before)[i]) / result_.real_seconds);
  }
  result_.own_cores = result_.cores.back();
  result_.cores.pop_back();
  const auto total = machine_after.total - machine_before.total;
  if (total > Duration::zero()) {
    result_.machine_share = seconds(machine_after.busy - machine_before.busy) / seconds(total);
  }
  std::erase_if(result_.run.order, [this](std::uint32_t row) { return failed_[row]; });
  slots_.clear();
  return std::move(result_);
}

TimePoint TraceRun::real(double at) const {
  return start_ + Duration(static_cast<Duration::rep>(at / settings_.speed * 1e9));
}

double TraceRun::virtual_time(TimePoint at) const { return seconds(at - start_) * settings_.speed; }

void TraceRun::plan(std::uint32_t row, double at) {
  delays_.at(real(at), [this, row, at] { begin(row, at); });
}

void TraceRun::begin(std::uint32_t row, double at) {
  // The one that was used last: as many connections as the load needs, and no more.
  if (idle_.empty()) {
    idle_.push_back(slots_.size());
    slots_.push_back({std::make_unique<Client>(static_cast<Shared&>(*this), slots_.size()), {}, 0});
  }
  const auto place = idle_.back();
  idle_.pop_back();
  auto& slot = slots_[place];
  slot.row = row;
  slot.request = trace_request(options, trace_, row);
  auto& passage = result_.run.passages[row];
  passage.arrived = passage.sent = at;
  result_.run.order.push_back(row);
  const auto due = real(at);
  const auto late = steady_now() - due;
  result_.most_late = std::max(result_.most_late, late);
  tally.lag.add(late);
  slot.client->begin(due, slot.request, trace_.rows[row].out);
}

void TraceRun::on_idle(Client& client) {
  const auto place = client.number();
  const auto row = slots_[place].row;
  const auto& exchange = client.last();
  auto& passage = result_.run.passages[row];
  failed_[row] = !exchange.good;
  const auto end = exchange.good ? exchange.ended : steady_now();
  passage.first_token = virtual_time(exchange.first_token);
  passage.ended = virtual_time(end);
  passage.cached = static_cast<std::uint32_t>(exchange.cached_tokens);
  for (const auto follower : followers_[row]) {
    plan(follower, passage.ended + trace_.rows[follower].think / settings_.rate);
  }
  idle_.push_back(place);
  if (--left_ > 0) return;
  for (const auto& slot : slots_) slot.client->drop();
  loop.stop();
}

}  // namespace svc::load
