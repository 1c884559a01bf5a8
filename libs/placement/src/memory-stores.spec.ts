import { forecastLedgerConformance } from './testing/forecast-ledger-conformance.js';
import { MemoryForecastLedger } from './testing/memory-forecast-ledger.js';
import { MemoryPlanStore } from './testing/memory-plan-store.js';
import { MemoryPlannerTurn } from './testing/memory-planner-turn.js';
import { plannerTurnConformance, planStoreConformance } from './testing/placement-stores-conformance.js';

forecastLedgerConformance('MemoryForecastLedger', () => new MemoryForecastLedger());
planStoreConformance('MemoryPlanStore', () => new MemoryPlanStore());
plannerTurnConformance('MemoryPlannerTurn', () => new MemoryPlannerTurn());
