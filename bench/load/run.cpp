#include "bench/load/run.hpp"

#include <algorithm>
#include <utility>

namespace svc::load {
namespace {

// The clients' own deadlines come first.
constexpr Duration kGrace = std::chrono::seconds(1);

}  // namespace

Run::Run(const Options& options_in, EventLoop& loop_in, Tally& tally_in) : Shared(options_in, loop_in, tally_in) {
  for (std::size_t i = 0; i < options.clients; ++i) {
    clients_.push_back(std::make_unique<Client>(static_cast<Shared&>(*this), i));
  }
}

Result<Measured> Run::execute() {
  auto process = ProcessTree::of(options.pid);
  if (!process) {
    return process.error();
  }
  process_ = std::move(*process);
  measured_.before_load = usage(true);
  if (options.rate > 0) {
    for (auto client = clients_.rbegin(); client != clients_.rend(); ++client) {
      idle_.push_back(client->get());
    }
    pacer_ = std::make_unique<Pacer>(loop, options.rate, options.even);
    pacer_->start([this](TimePoint due) { arrive(due); });
  } else if (options.ramp > Duration::zero()) {
    const double per_second =
        static_cast<double>(clients_.size()) / std::chrono::duration<double>(options.ramp).count();
    pacer_ = std::make_unique<Pacer>(loop, per_second, true);
    pacer_->start([this](TimePoint) { begin_closed(); });
  } else {
    while (started_ < clients_.size()) {
      begin_closed();
    }
  }
  if (options.warmup == Duration::zero()) {
    open_window(steady_now());
  } else {
    loop.timers().set(phase_timer_, steady_now() + std::max(options.warmup, options.ramp));
  }
  loop.run();
  pacer_.reset();
  clients_.clear();
  if (error_) {
    return *error_;
  }
  return measured_;
}

void Run::begin_closed() {
  if (started_ == clients_.size()) {
    pacer_->stop();
    return;
  }
  begin(*clients_[started_++], steady_now());
}

void Run::arrive(TimePoint due) {
  if (idle_.empty()) {
    waiting_.push_back(due);
    return;
  }
  // The one that was used last: as many connections as the load needs, and no more.
  Client* const client = idle_.back();
  idle_.pop_back();
  begin(*client, due);
}

void Run::begin(Client& client, TimePoint due) {
  if (options.rate > 0 && tally.measuring) {
    tally.lag.add(steady_now() - due);
  }
  client.begin(due);
}

void Run::on_idle(Client& client) {
  if (phase_ == Phase::window && options.requests > 0 && tally.ended() - ended_before_ >= options.requests) {
    close_window(steady_now());
    return;
  }
  if (phase_ == Phase::draining) {
    client.drop();
    if (busy() == 0) {
      end();
    }
  } else if (options.rate <= 0) {
    begin(client, steady_now());
  } else if (waiting_.empty()) {
    idle_.push_back(&client);
  } else {
    const auto due = waiting_.front();
    waiting_.pop_front();
    begin(client, due);
  }
}

void Run::on_phase_end(TimePoint now) {
  switch (phase_) {
    case Phase::warmup: open_window(now); break;
    case Phase::window: close_window(now); break;
    case Phase::draining:
      // Whatever has not ended by now was hung.
      for (const auto& client : clients_) {
        if (client->busy()) {
          tally.add_failure(Failure::timeout);
        }
      }
      end();
      break;
  }
}

void Run::open_window(TimePoint now) {
  phase_ = Phase::window;
  tally.measuring = true;
  ended_before_ = tally.ended();
  measured_.window_start = usage(false);
  window_start_ = steady_now();
  if (options.requests == 0) {
    loop.timers().set(phase_timer_, now + options.duration);
  }
}

void Run::close_window(TimePoint now) {
  measured_.window_end = usage(true);
  measured_.window = steady_now() - window_start_;
  phase_ = Phase::draining;
  tally.measuring = false;
  if (pacer_) {
    pacer_->stop();
  }
  measured_.open_streams = busy();
  // Held streams have no end; a stream that was to be left is left now.
  const bool leave = options.mode == Mode::hold || options.mode == Mode::cancel;
  for (const auto& client : clients_) {
    if (leave || !client->busy()) {
      tally.cancelled += options.mode == Mode::cancel && client->busy() ? 1U : 0U;
      client->drop();
    }
  }
  if (error_ || busy() == 0) {
    end();
  } else {
    loop.timers().set(phase_timer_, now + options.timeout + kGrace);
  }
}

Usage Run::usage(bool with_memory) {
  const auto usage = process_.usage(with_memory);
  if (!usage) {
    error_ = usage.error();
    return {};
  }
  return *usage;
}

std::size_t Run::busy() const {
  return static_cast<std::size_t>(
      std::count_if(clients_.begin(), clients_.end(), [](const auto& client) { return client->busy(); }));
}

void Run::end() {
  for (const auto& client : clients_) {
    client->drop();
  }
  loop.timers().clear(phase_timer_);
  loop.stop();
}

}  // namespace svc::load
