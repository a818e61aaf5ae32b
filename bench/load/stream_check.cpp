#include "bench/load/stream_check.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace svc::load {
namespace {

// The number after `"key":`. The whole text is searched, because the simulator may put the fields anywhere.
bool number_after(std::string_view text, std::string_view key, std::uint64_t& number) {
  const void* found = memmem(text.data(), text.size(), key.data(), key.size());
  if (found == nullptr) {
    return false;
  }
  const char* begin = static_cast<const char*>(found) + key.size();
  return std::from_chars(begin, text.data() + text.size(), number).ec == std::errc();
}

}  // namespace

void StreamCheck::reset() {
  partial_.clear();
  missing_.clear();
  next_ = 0;
  tokens_ = in_chunk_ = 0;
  cached_ = 0;
  done_ = error_ = false;
}

void StreamCheck::on_body(std::string_view piece, TimePoint now) {
  while (!piece.empty()) {
    auto end = piece.find("\n\n");
    if (partial_.empty() && end != std::string_view::npos) {
      on_event(piece.substr(0, end), now);
      piece.remove_prefix(end + 2);
      continue;
    }
    // The empty line may lie across two pieces.
    const std::size_t before = partial_.size();
    partial_ += end == std::string_view::npos ? piece : piece.substr(0, end + 2);
    const std::size_t added = partial_.size() - before;
    end = partial_.find("\n\n", before == 0 ? 0 : before - 1);
    if (end == std::string::npos) {
      piece.remove_prefix(added);
      continue;
    }
    on_event(std::string_view(partial_).substr(0, end), now);
    piece.remove_prefix(end + 2 - before);
    partial_.clear();
  }
}

void StreamCheck::on_event(std::string_view event, TimePoint now) {
  if (!event.starts_with("data:")) {
    error_ = error_ || event.starts_with("event: error") || event.starts_with("event:error");
    return;
  }
  std::uint64_t number = 0;
  if (number_after(event, "\"seq\":", number)) {
    std::uint64_t sent = 0;
    number_after(event, "\"t\":", sent);
    on_token(number, now, TimePoint(Duration(static_cast<Duration::rep>(sent))));
    return;
  }
  number_after(event, "\"cached_tokens\":", cached_);
  const auto data = event.substr(event.find_first_not_of(' ', 5));
  done_ = done_ || data == "[DONE]";
  error_ = error_ || data.starts_with("{\"error\"");
}

void StreamCheck::on_token(std::uint64_t number, TimePoint now, TimePoint sent) {
  if (tokens_ == 0 && number == 1) {
    next_ = 1;  // counted from one
  }
  ++tokens_;
  ++tally_.chunks;
  if (tally_.measuring) {
    ++tally_.measured_chunks;
    tally_.merged += in_chunk_ > 0 ? 1 : 0;
    if (sent != TimePoint{}) {
      tally_.chunk_latency.add(now - sent);
    }
  }
  ++in_chunk_;
  if (number == next_) {
    ++next_;
  } else if (number > next_) {
    tally_.lost += number - next_;
    for (; next_ < number && missing_.size() < kMaxMissing; ++next_) {
      missing_.push_back(next_);
    }
    next_ = number + 1;
  } else if (const auto place = std::find(missing_.begin(), missing_.end(), number); place != missing_.end()) {
    missing_.erase(place);
    --tally_.lost;
    ++tally_.out_of_order;
  } else {
    ++tally_.duplicated;
  }
}

void StreamCheck::finish(std::size_t tokens) {
  // What was skipped is counted already.
  const std::size_t first = next_ >= tokens_ + missing_.size() ? tokens_ + missing_.size() : tokens_;
  if (first < tokens) {
    tally_.lost += tokens - first;
  }
}

}  // namespace svc::load
