"""holds, pending earns, reversals, adjustments, and several processes on one ledger

Forward only: the way back is the backup that was made before.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


#: The account's rules, which know of held points from now on.
CHECKS = {
    'ck_account_counters_not_negative': (
        'credits_pending >= 0 AND debits_pending >= 0 AND incoming_pending >= 0 AND held >= 0'
        ' AND credits_posted >= 0 AND debits_posted >= 0'
    ),
    'ck_account_no_overdraft': (
        "kind IN ('issued', 'redeemed', 'swapped') OR CASE WHEN frozen THEN credits_posted >= debits_posted"
        ' ELSE credits_posted + credits_pending >= debits_posted + debits_pending + held END'
    ),
}


def upgrade() -> None:
    op.create_table('lease',
    sa.Column('name', sa.String(length=64), nullable=False),
    sa.Column('token', sa.BigInteger(), nullable=False),
    sa.Column('holder', sa.String(length=64), nullable=True),
    sa.Column('since_ms', sa.BigInteger(), nullable=False),
    sa.Column('until_ms', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_lease'))
    )
    op.create_table('turn',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.CheckConstraint('id = 1', name=op.f('ck_turn_single')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_turn'))
    )
    op.execute('INSERT INTO turn (id) VALUES (1)')
    op.create_table('writer',
    sa.Column('process', sa.String(length=64), nullable=False),
    sa.Column('commits', sa.BigInteger(), nullable=False),
    sa.Column('at_ms', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('process', name=op.f('pk_writer'))
    )
    op.create_table('request',
    sa.Column('program_id', sa.String(length=40), nullable=False),
    sa.Column('idempotency_key', sa.String(length=255), nullable=False),
    sa.Column('request_hash', sa.LargeBinary(length=32), nullable=False),
    sa.Column('subject', sa.String(length=40), nullable=False),
    sa.Column('created_ms', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['program_id'], ['program.id'], name=op.f('fk_request_program_id_program')),
    sa.PrimaryKeyConstraint('program_id', 'idempotency_key', name=op.f('pk_request'))
    )
    op.create_table('debt',
    sa.Column('member_id', sa.String(length=40), nullable=False),
    sa.Column('points', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['member_id'], ['member.id'], name=op.f('fk_debt_member_id_member')),
    sa.PrimaryKeyConstraint('member_id', name=op.f('pk_debt'))
    )
    op.create_table('expiry_notice',
    sa.Column('member_id', sa.String(length=40), nullable=False),
    sa.Column('day', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('lead_days', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('program_id', sa.String(length=40), nullable=False),
    sa.Column('points', sa.BigInteger(), nullable=False),
    sa.Column('created_ms', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['member_id'], ['member.id'], name=op.f('fk_expiry_notice_member_id_member')),
    sa.ForeignKeyConstraint(['program_id'], ['program.id'], name=op.f('fk_expiry_notice_program_id_program')),
    sa.PrimaryKeyConstraint('member_id', 'day', 'lead_days', name=op.f('pk_expiry_notice'))
    )
    with op.batch_alter_table('expiry_notice', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_expiry_notice_program_id'), ['program_id'], unique=False)

    op.create_table('hold',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('program_id', sa.String(length=40), nullable=False),
    sa.Column('member_id', sa.String(length=40), nullable=False),
    sa.Column('points', sa.BigInteger(), nullable=False),
    sa.Column('captured', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('expires_ms', sa.BigInteger(), nullable=False),
    sa.Column('created_ms', sa.BigInteger(), nullable=False),
    sa.Column('closed_ms', sa.BigInteger(), nullable=True),
    sa.CheckConstraint('points > 0 AND captured >= 0 AND captured <= points', name=op.f('ck_hold_captured_in_range')),
    sa.ForeignKeyConstraint(['member_id'], ['member.id'], name=op.f('fk_hold_member_id_member')),
    sa.ForeignKeyConstraint(['program_id'], ['program.id'], name=op.f('fk_hold_program_id_program')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hold'))
    )
    with op.batch_alter_table('hold', schema=None) as batch_op:
        batch_op.create_index('ix_hold_member', ['member_id', 'state'], unique=False)
        batch_op.create_index('ix_hold_open', ['expires_ms'], unique=False, sqlite_where=sa.text("state = 'open'"), postgresql_where=sa.text("state = 'open'"))

    op.create_table('adjustment',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('program_id', sa.String(length=40), nullable=False),
    sa.Column('member_id', sa.String(length=40), nullable=True),
    sa.Column('account_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('points', sa.BigInteger(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('tag', sa.LargeBinary(length=5), nullable=False),
    sa.Column('proposed_by', sa.String(length=64), nullable=False),
    sa.Column('proposed_key', sa.String(length=40), nullable=False),
    sa.Column('decided_by', sa.String(length=64), nullable=True),
    sa.Column('decided_key', sa.String(length=40), nullable=True),
    sa.Column('note', sa.Text(), nullable=True),
    sa.Column('operation_id', sa.String(length=40), nullable=True),
    sa.Column('created_ms', sa.BigInteger(), nullable=False),
    sa.Column('expires_ms', sa.BigInteger(), nullable=False),
    sa.Column('decided_ms', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['account.id'], name=op.f('fk_adjustment_account_id_account')),
    sa.ForeignKeyConstraint(['decided_key'], ['api_key.id'], name=op.f('fk_adjustment_decided_key_api_key')),
    sa.ForeignKeyConstraint(['member_id'], ['member.id'], name=op.f('fk_adjustment_member_id_member')),
    sa.ForeignKeyConstraint(['operation_id'], ['operation.id'], name=op.f('fk_adjustment_operation_id_operation')),
    sa.ForeignKeyConstraint(['program_id'], ['program.id'], name=op.f('fk_adjustment_program_id_program')),
    sa.ForeignKeyConstraint(['proposed_key'], ['api_key.id'], name=op.f('fk_adjustment_proposed_key_api_key')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_adjustment')),
    sa.UniqueConstraint('operation_id', name=op.f('uq_adjustment_operation_id'))
    )
    with op.batch_alter_table('adjustment', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_adjustment_member_id'), ['member_id'], unique=False)
        batch_op.create_index('ix_adjustment_open', ['expires_ms'], unique=False, sqlite_where=sa.text("state = 'proposed'"), postgresql_where=sa.text("state = 'proposed'"))
        batch_op.create_index(batch_op.f('ix_adjustment_program_id'), ['program_id'], unique=False)

    op.create_table('debt_change',
    sa.Column('operation_id', sa.String(length=40), nullable=False),
    sa.Column('member_id', sa.String(length=40), nullable=False),
    sa.Column('points', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['member_id'], ['member.id'], name=op.f('fk_debt_change_member_id_member')),
    sa.ForeignKeyConstraint(['operation_id'], ['operation.id'], name=op.f('fk_debt_change_operation_id_operation')),
    sa.PrimaryKeyConstraint('operation_id', name=op.f('pk_debt_change'))
    )
    with op.batch_alter_table('debt_change', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_debt_change_member_id'), ['member_id'], unique=False)

    op.create_table('hold_take',
    sa.Column('hold_id', sa.String(length=40), nullable=False),
    sa.Column('lot_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.CheckConstraint('amount > 0', name=op.f('ck_hold_take_amount_positive')),
    sa.ForeignKeyConstraint(['hold_id'], ['hold.id'], name=op.f('fk_hold_take_hold_id_hold')),
    sa.ForeignKeyConstraint(['lot_id'], ['lot.id'], name=op.f('fk_hold_take_lot_id_lot')),
    sa.PrimaryKeyConstraint('hold_id', 'lot_id', name=op.f('pk_hold_take'))
    )
    op.create_index(op.f('ix_hold_take_lot_id'), 'hold_take', ['lot_id'], unique=False)
    op.create_index(op.f('ix_lot_take_lot_id'), 'lot_take', ['lot_id'], unique=False)
    op.create_index(op.f('ix_entry_account_id'), 'entry', ['account_id'], unique=False)
    with op.batch_alter_table('account', schema=None) as batch_op:
        batch_op.add_column(sa.Column('held', sa.BigInteger(), server_default='0', nullable=False))
        for name, rule in CHECKS.items():
            batch_op.drop_constraint(batch_op.f(name), type_='check')
            batch_op.create_check_constraint(batch_op.f(name), rule)

    with op.batch_alter_table('api_key', schema=None) as batch_op:
        batch_op.add_column(sa.Column('person', sa.String(length=64), nullable=True))

    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.add_column(sa.Column('subject', sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column('told', sa.JSON(none_as_null=True), nullable=True))

    op.drop_index('ix_operation_waiting', table_name='operation')
    with op.batch_alter_table('operation', schema=None) as batch_op:
        batch_op.add_column(sa.Column('release_ms', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('hold_id', sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column('reverses_id', sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column('expired_points', sa.BigInteger(), nullable=True))
        batch_op.create_index(batch_op.f('ix_operation_hold_id'), ['hold_id'], unique=False)
        batch_op.create_index('ix_operation_release', ['release_ms', 'seq'], unique=False, sqlite_where=sa.text("release_ms IS NOT NULL AND state = 'accepted' AND stream_id IS NULL"), postgresql_where=sa.text("release_ms IS NOT NULL AND state = 'accepted' AND stream_id IS NULL"))
        batch_op.create_index('ix_operation_unreleased', ['member_id', 'release_ms'], unique=False, sqlite_where=sa.text("release_ms IS NOT NULL AND state = 'accepted' AND stream_id IS NULL"), postgresql_where=sa.text("release_ms IS NOT NULL AND state = 'accepted' AND stream_id IS NULL"))
        batch_op.create_index(batch_op.f('ix_operation_reverses_id'), ['reverses_id'], unique=False)
        batch_op.create_foreign_key(batch_op.f('fk_operation_hold_id_hold'), 'hold', ['hold_id'], ['id'])
        batch_op.create_foreign_key(batch_op.f('fk_operation_reverses_id_operation'), 'operation', ['reverses_id'], ['id'])
    op.create_index('ix_operation_waiting', 'operation', ['stream_id', 'seq'], unique=False, sqlite_where=sa.text("state = 'accepted' AND batch_id IS NULL AND kind <> 'expiry'"), postgresql_where=sa.text("state = 'accepted' AND batch_id IS NULL AND kind <> 'expiry'"))
    op.create_index('ix_operation_waiting_expiry', 'operation', ['stream_id', 'seq'], unique=False, sqlite_where=sa.text("state = 'accepted' AND batch_id IS NULL AND kind = 'expiry'"), postgresql_where=sa.text("state = 'accepted' AND batch_id IS NULL AND kind = 'expiry'"))

    with op.batch_alter_table('program', schema=None) as batch_op:
        batch_op.add_column(sa.Column('debt_limit', sa.BigInteger(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('notice_days', sa.JSON(), server_default='[]', nullable=False))

    op.create_table('notice_reach',
    sa.Column('program_id', sa.String(length=40), nullable=False),
    sa.Column('lead_days', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('expires_ms', sa.BigInteger(), nullable=False),
    sa.Column('lot_id', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['program_id'], ['program.id'], name=op.f('fk_notice_reach_program_id_program')),
    sa.PrimaryKeyConstraint('program_id', 'lead_days', name=op.f('pk_notice_reach'))
    )
    with op.batch_alter_table('lot', schema=None) as batch_op:
        batch_op.add_column(sa.Column('aside', sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.create_index('ix_lot_aside', ['account_id'], unique=False, sqlite_where=sa.text('aside'), postgresql_where=sa.text('aside'))
        batch_op.create_index('ix_lot_expiring', ['expires_ms', 'id'], unique=False, sqlite_where=sa.text('remaining > 0 AND NOT pending AND NOT aside AND expires_ms IS NOT NULL'), postgresql_where=sa.text('remaining > 0 AND NOT pending AND NOT aside AND expires_ms IS NOT NULL'))
