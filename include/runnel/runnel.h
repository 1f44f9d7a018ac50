#pragma once
// Everything.

#include "runnel/chan.h"
#include "runnel/connection_pool.h"
#include "runnel/context.h"
#include "runnel/debug.h"
#include "runnel/defer.h"
#include "runnel/go.h"
#include "runnel/goroutine_local.h"
#include "runnel/panic.h"
#include "runnel/select.h"
#include "runnel/signal.h"
#include "runnel/sync.h"
#include "runnel/time.h"
