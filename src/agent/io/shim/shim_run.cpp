#include "agent/io/shim/shim_run.hpp"

#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "agent/io/shim/spawn.hpp"

namespace svc::agent {
namespace {

/// An agent that is gone is followed within a second.
constexpr Duration kOrphanedGrace = std::chrono::milliseconds(500);
/// A cgroup may say "populated" for a moment after its last process was reaped.
constexpr int kCgroupWaitMs = 2;
constexpr int kGoodbyeMs = 1000;
/// For the last lines. They are not worth more: the next run waits for the end of this one.
constexpr Duration kLogPatience = std::chrono::seconds(2);

int ceil_ms(Duration duration) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  return static_cast<int>(std::clamp<std::int64_t>(ms, 0, 3'600'000));
}

}  // namespace

ShimRun::ShimRun(LaunchOrder order, AgentLink link, UniqueFd child_signals)
    : order_(std::move(order)),
      link_(std::move(link)),
      child_signals_(std::move(child_signals)),
      log_news_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      log_({order_.log_file, order_.log_max_bytes, order_.log_max_files, order_.log_max_age},
           [news = log_news_.get()] { (void)::eventfd_write(news, 1); }),
      cgroup_(order_.cgroup_parent, order_.name),
      oom_(steady_now(), cgroup_.oom_kills()),
      tree_(cgroup_) {}

bool ShimRun::run() {
  turn_at_ = started_at_ = wall_now();
  // Without its agent to keep it for, nobody may take this run over.
  if (order_.outlive_agent && !order_.socket_path.empty()) {
    if (auto listening = link_.listen(order_.socket_path); listening.has_error()) {
      log_.note(turn_at_, listening.error().to_string() + "; so the engine ends with its agent");
      order_.outlive_agent = false;  // nobody could take it over
    }
  }
  start_ranks();
  log_.start();  // a thread: nothing is forked from here on
  for (;;) {
    take_orders();
    read_outputs();
    reap();
    if (advance()) break;
    if (steady_now() >= oom_.look_at()) oom_.look(steady_now(), cgroup_.oom_kills());
    log_.flush();
    report_line(steady_now());
    wait();
  }
  return say_goodbye();
}

void ShimRun::start_ranks() {
  for (const RankCommand& command : order_.ranks) {
    Rank& rank = ranks_.emplace_back(static_cast<int>(ranks_.size()));
    SpawnedRank spawned;
    SpawnFailure failure;
    if (!spawn_rank(command, cgroup_.procs_file(), spawned, failure)) {
      return start_failed(rank.number, failure.error, failure.message);
    }
    tree_.add_rank(spawned.pid);
    rank.outputs.emplace_back(spawned.output, [this, &rank](std::string_view line) { take_line(rank, false, line); });
    rank.outputs.emplace_back(spawned.errors, [this, &rank](std::string_view line) { take_line(rank, true, line); });
    log_.note(turn_at_, "rank " + std::to_string(rank.number) + " started, process " + std::to_string(spawned.pid));
  }
  link_.send(run_report());
}

void ShimRun::start_failed(int rank, int error, const std::string& message) {
  log_.note(turn_at_, message);
  ExitReport report;
  report.outcome.kind = ExitKind::start_failed;
  report.outcome.value = error;
  report.outcome.rank = rank;
  report.outcome.last_lines = {message};
  exits_.push_back(report);
  link_.send(report);
  begin_stop(order_.grace);
}

RunReport ShimRun::run_report() const {
  RunReport report;
  report.shim = ::getpid();
  report.ranks = tree_.ranks();
  report.fingerprint = order_.fingerprint;
  report.started_at_us = started_at_.time_since_epoch().count();
  report.port = port_;
  report.cgroup = cgroup_.path();
  return report;
}

void ShimRun::wait() {
  const bool held = steady_now() < hold_until_;
  polled_.clear();
  polled_.push_back({child_signals_.get(), POLLIN, 0});
  // A closed descriptor is -1, which poll(2) passes over.
  polled_.push_back({link_.fd(), static_cast<short>(link_.wants_to_write() ? POLLIN | POLLOUT : POLLIN), 0});
  polled_.push_back({link_.listening_fd(), POLLIN, 0});
  polled_.push_back({log_news_.get(), POLLIN, 0});
  for (const Rank& rank : ranks_) {
    for (const RankOutput& output : rank.outputs) polled_.push_back({held ? -1 : output.fd(), POLLIN, 0});
  }
  ::poll(polled_.data(), polled_.size(), more_output_ ? 0 : wait_ms(steady_now()));
  turn_at_ = wall_now();
  eventfd_t news = 0;
  (void)::eventfd_read(log_news_.get(), &news);
  std::array<signalfd_siginfo, 16> signals{};
  while (::read(child_signals_.get(), signals.data(), sizeof signals) == static_cast<ssize_t>(sizeof signals)) {
  }
}

int ShimRun::wait_ms(TimePoint now) const {
  TimePoint wake = stop_.wake_at();
  if (now < hold_until_) wake = std::min(wake, hold_until_);
  if (link_.connected() && (line_is_new_ || port_is_new_ || log_is_news(now))) {
    wake = std::min(wake, line_report_at_);
  } else if (link_.connected() && !log_stuck_told_) {
    wake = std::min(wake, log_.stuck_at());
  }
  if (wake == TimePoint::max()) return -1;
  const int ms = ceil_ms(wake - now);
  // No child is left, and nothing will tell when the cgroup has noticed.
  const bool only_cgroup = stop_.begun() && tree_.ranks_alive() == 0 && !tree_.children_left();
  return only_cgroup ? std::min(ms, kCgroupWaitMs) : ms;
}

void ShimRun::take_orders() {
  if (link_.connected()) {
    while (const auto order = link_.receive()) handle(*order);
    if (!link_.connected()) agent_gone();
  }
  link_.write_waiting();
  if (link_.listening_fd() >= 0 && link_.accept()) greet_agent();
}

void ShimRun::handle(const ShimOrder& order) {
  if (const auto* stop = std::get_if<StopOrder>(&order)) {
    begin_stop(stop->grace);
  } else if (std::holds_alternative<ReopenLogOrder>(order)) {
    log_.reopen();
  } else if (const auto* settled = std::get_if<SettlePortOrder>(&order)) {
    port_ = settled->port;
    port_is_settled_ = true;
    port_is_new_ = false;
  } else if (std::holds_alternative<EndWithAgentOrder>(order)) {
    order_.outlive_agent = false;
    link_.stop_listening();
    log_.note(turn_at_, "the engine ends with its agent from now on");
  }
  // A second LaunchOrder is nothing that an agent sends.
}

void ShimRun::agent_gone() {
  if (!order_.outlive_agent) {
    log_.note(turn_at_, "the agent is gone: the engine is stopped");
    begin_stop(std::min(order_.grace, kOrphanedGrace));
  } else if (!exits_.empty()) {
    begin_stop(order_.grace);  // nobody is there to decide about the rest
  } else {
    log_.note(turn_at_, "the agent is gone: the engine is kept for the next one");
  }
}

void ShimRun::greet_agent() {
  log_.note(turn_at_, "another agent has taken over");
  port_is_new_ = false;
  lines_lost_told_ = 0;
  log_failing_told_ = false;
  log_stuck_told_ = false;
  link_.send(run_report());
  for (const ExitReport& exit : exits_) link_.send(exit);
}

void ShimRun::reap() {
  tree_.reap([this](std::size_t rank, int status) { rank_ended(rank, status); });
}

void ShimRun::rank_ended(std::size_t rank, int status) {
  drain(ranks_[rank]);
  ExitReport report;
  report.outcome = classify_exit(status, tree_.killed() == 0 && oom_.grew(cgroup_.oom_kills()));
  report.outcome.rank = static_cast<int>(rank);
  report.outcome.last_lines = ranks_[rank].last_lines.lines();
  log_.note(turn_at_, "rank " + std::to_string(rank) + " ended: " + text_of(report.outcome));
  exits_.push_back(report);
  link_.send(report);
  if (!link_.connected()) begin_stop(order_.grace);
  if (tree_.ranks_alive() == 0 && stop_.begun()) tree_.terminate_orphans();
}

void ShimRun::begin_stop(Duration grace) {
  if (!stop_.begun()) log_.note(turn_at_, "stopping");
  stop_.begin(steady_now(), grace);
}

bool ShimRun::advance() {
  const std::size_t ranks_alive = tree_.ranks_alive();
  const bool left = ranks_alive > 0 || tree_.anything_left();
  if (!left) return true;
  if (ranks_alive == 0 && !stop_.begun()) begin_stop(StopSequence::kOrphanGrace);
  switch (stop_.next(steady_now(), left ? 1 : 0, ranks_alive)) {
    case StopAction::terminate: tree_.terminate(); break;
    case StopAction::kill: tree_.kill(); break;
    case StopAction::none:
    case StopAction::gone: break;
  }
  return false;
}

bool ShimRun::say_goodbye() {
  for (Rank& rank : ranks_) drain(rank);
  cgroup_.remove();
  link_.stop_listening();
  log_.note(turn_at_, "nothing is left of the run");
  const bool log_closed = log_.finish(kLogPatience);
  bool told = link_.send(GoneReport{tree_.killed(), log_.lines_lost()});
  const TimePoint end = steady_now() + std::chrono::milliseconds(kGoodbyeMs);
  while (!told && steady_now() < end) {
    pollfd agent{link_.fd(), POLLOUT, 0};
    ::poll(&agent, 1, ceil_ms(end - steady_now()));
    link_.write_waiting();
    told = !link_.wants_to_write();
  }
  link_.close();
  return log_closed;
}

}  // namespace svc::agent
