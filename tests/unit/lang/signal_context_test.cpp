// Contexts that signals cancel.

#include "runnel/signal.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stop_token>
#include <string>
#include <system_error>

#include "runnel/runnel.h"
#include "support/signals.h"

namespace {

using runnel::run;
using test::passed_on;
namespace signal = runnel::signal;

class signal_contexts : public test::with_signals {};

TEST_F(signal_contexts, cancel_a_context_and_are_its_cause) {
  succeeds([] {
    return run([] {
      auto ctx = signal::notify_context(runnel::background(), {SIGINT, SIGTERM});
      if (ctx.err()) return false;
      raise(SIGTERM);
      ctx.done().recv();
      if (ctx.err() != runnel::context_errc::canceled) return false;
      raise(SIGTERM);  // still listened for
      passed_on();
      try {
        std::rethrow_exception(ctx.cause());
      } catch (const signal::signal_error& e) {
        return e.signal() == SIGTERM && std::string(e.what()) == "terminated signal received";
      }
    });
  });
}

TEST_F(signal_contexts, end_the_program_once_their_context_is_stopped) {
  EXPECT_EXIT(run([] {
                auto ctx = signal::notify_context(runnel::background(), {SIGTERM});
                ctx.stop();
                if (ctx.err() != runnel::context_errc::canceled) test::finish(false);
                raise(SIGTERM);
                test::finish(false);
              }),
              testing::KilledBySignal(SIGTERM), "");
}

TEST_F(signal_contexts, may_stop_their_context_from_its_own_callback) {
  succeeds([] {
    auto ctx = signal::notify_context(runnel::background(), {SIGUSR1});
    std::atomic<bool> called{false};
    std::stop_callback react(ctx.stop_token(), [&] {
      ctx.stop();
      called = true;
    });
    raise(SIGUSR1);
    passed_on();
    return called.load() && now(SIGUSR1).sa_handler == SIG_DFL;
  });
}

TEST_F(signal_contexts, leave_a_context_alone_whose_parent_was_cancelled) {
  succeeds([] {
    return run([] {
      auto [parent, cancel] = runnel::with_cancel(runnel::background());
      auto ctx = signal::notify_context(parent, {SIGUSR1});
      cancel();
      ctx.done().recv();
      raise(SIGUSR1);
      passed_on();
      try {
        std::rethrow_exception(ctx.cause());
      } catch (const std::system_error& e) {
        return e.code() == runnel::context_errc::canceled;
      }
    });
  });
}

}  // namespace
