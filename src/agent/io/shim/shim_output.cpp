// ShimRun: what the engine prints.
#include <algorithm>

#include "agent/io/shim/shim_run.hpp"

namespace svc::agent {
namespace {

constexpr std::size_t kReadSize = 64 * 1024;
constexpr Duration kLineReportEvery = std::chrono::milliseconds(500);
/// Of all pipes together before orders and exits are looked at again.
constexpr std::size_t kTurnLimit = 1024 * 1024;
/// A pipe holds no more than this (the default of /proc/sys/fs/pipe-max-size); what comes later is a descendant's.
constexpr std::size_t kPipeLimit = 1024 * 1024;

}  // namespace

void ShimRun::read_outputs() {
  more_output_ = false;
  // A burst is no reason to drop lines while the disk works: until that has caught up they wait in the pipes.
  hold_until_ = log_.hold_until();
  if (steady_now() < hold_until_) return;
  if (buffer_.empty()) buffer_.resize(kReadSize);
  std::size_t budget = kTurnLimit;
  for (std::size_t turn = 0; turn < ranks_.size(); ++turn) {
    Rank& rank = ranks_[(next_rank_ + turn) % ranks_.size()];
    for (RankOutput& output : rank.outputs) {
      // An equal share first, so that a chatterbox does not keep the others waiting for whole turns.
      const std::size_t share = std::min(budget, kTurnLimit / (ranks_.size() * rank.outputs.size()));
      const std::size_t size = output.read(buffer_, share);
      more_output_ = more_output_ || (size == share && output.fd() >= 0);
      budget -= size;
    }
    std::erase_if(rank.outputs, [](const RankOutput& output) { return output.fd() < 0; });
  }
  if (!ranks_.empty()) next_rank_ = (next_rank_ + 1) % ranks_.size();
}

/// Whatever a rank wrote before it ended. A descendant may hold the pipe open and write for ever, so there is a limit.
void ShimRun::drain(Rank& rank) {
  if (buffer_.empty()) buffer_.resize(kReadSize);
  for (RankOutput& output : rank.outputs) {
    output.read(buffer_, kPipeLimit);
    output.finish_line();
  }
}

void ShimRun::take_line(Rank& rank, bool is_error, std::string_view line) {
  log_.add(turn_at_, rank.number, is_error, line);
  rank.last_lines.add(line);
  line_is_new_ = true;
  newest_rank_ = rank.number;
  if (rank.number != 0 || port_is_settled_) return;  // rank 0 alone listens
  if (const auto port = listening_port(line)) {
    port_is_new_ = port_is_new_ || port != port_;
    port_ = port;
  }
}

bool ShimRun::log_is_stuck(TimePoint now) const { return now >= log_.stuck_at(); }

bool ShimRun::log_is_news(TimePoint now) const {
  return log_.lines_lost() != lines_lost_told_ || log_.failing() != log_failing_told_ ||
         log_is_stuck(now) != log_stuck_told_;
}

void ShimRun::report_line(TimePoint now) {
  if (!link_.connected() || (!line_is_new_ && !port_is_new_ && !log_is_news(now))) return;
  if (now < line_report_at_ && !port_is_new_) return;
  LineReport report;
  if (port_is_new_) report.port = port_;
  report.last_line = ranks_[static_cast<std::size_t>(newest_rank_)].last_lines.last();
  report.lines_lost = log_.lines_lost();
  report.log_failing = log_.failing();
  report.log_stuck = log_is_stuck(now);
  line_report_at_ = now + kLineReportEvery;
  line_is_new_ = false;
  if (!link_.offer(report)) return;
  port_is_new_ = false;
  lines_lost_told_ = report.lines_lost;
  log_failing_told_ = report.log_failing;
  log_stuck_told_ = report.log_stuck;
}

}  // namespace svc::agent
