import { describeOnEveryDatabase } from '#database/testing';
import { MIGRATIONS } from '#migrations';
import { plannerTurnConformance, planStoreConformance } from '#placement/testing';
import { PostgresPlannerTurn, PostgresPlanStore } from '#placement/typeorm';

describeOnEveryDatabase('placement', MIGRATIONS, (dataSource) => {
  planStoreConformance('PostgresPlanStore', () => new PostgresPlanStore(dataSource()));
  plannerTurnConformance('PostgresPlannerTurn', () => new PostgresPlannerTurn(dataSource()));
});
